"""Notebook 06 beside its peers: pytorch-grad-cam's `reshape_transform`, and captum as it says."""

import re
from pathlib import Path

import nbformat
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torchvision.models import VisionTransformer, vit_b_16

from camutils import data_path, grad_cam, load_classifier, load_image

PATH = Path(__file__).parents[2] / "notebooks" / "06_your_own_model.ipynb"
SOURCES = {cell.id: cell.source for cell in nbformat.read(PATH, 4).cells}
SMALL = {"num_layers": 3, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128, "num_classes": 10}


def token_grid(columns):
    """`TokenGrid` as it stands in the notebook."""
    names = {"nn": nn, "torch": torch}
    exec(SOURCES["token-grid"].partition("\n\n\n")[0], names)
    return names["TokenGrid"](columns)


def as_grid(tokens):
    """The reshape of pytorch-grad-cam's own example."""
    patches = tokens[:, 1:].reshape(len(tokens), 14, 14, -1)
    return patches.transpose(2, 3).transpose(1, 2)


def theirs(vit, layer, x, c):
    class Unscaled(GradCAM):
        """Their maps before they are scaled to [0, 1] and enlarged."""

        def compute_cam_per_layer(self, inputs, targets, eigen_smooth):
            activations = self.activations_and_grads.activations[0].numpy()
            gradients = self.activations_and_grads.gradients[0].numpy()
            map_ = self.get_cam_image(inputs, layer, targets, activations, gradients, eigen_smooth)
            self.kept = torch.from_numpy(map_.clip(0))
            return super().compute_cam_per_layer(inputs, targets, eigen_smooth)

    with Unscaled(vit, [layer], reshape_transform=as_grid) as method:
        method(x, [ClassifierOutputTarget(c)] * len(x))
        return method.kept


def untrained(make, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vit = make(**options).eval()
        nn.init.normal_(vit.heads.head.weight)
        return vit, torch.randn(2, 3, 224, 224)


@pytest.mark.parametrize("kind", ["small", "vit_b_16"])
@pytest.mark.parametrize("place", ["behind a block", "behind the last block's first norm"])
def test_token_grid_is_reshape_transform(kind, place):
    if kind == "small":
        vit, x = untrained(VisionTransformer, image_size=224, patch_size=16, **SMALL)
    else:
        vit, x = untrained(vit_b_16, weights=None)
        x = x[:1]
    blocks, grid = vit.encoder.layers, token_grid(14)
    layer = blocks[-2] if place == "behind a block" else blocks[-1].ln_1
    expected = theirs(vit, layer, x, 7)
    before = vit(x).detach()
    if place == "behind a block":
        blocks[len(blocks) - 2] = nn.Sequential(layer, grid)
    else:
        blocks[-1].ln_1 = nn.Sequential(layer, grid)
    result = grad_cam(vit.eval(), grid.grid, x, 7)
    torch.testing.assert_close(result.logits, before, rtol=1e-4, atol=1e-4)
    largest = expected.max().item()
    assert largest > 0
    torch.testing.assert_close(result.maps[:, 0], expected, rtol=1e-3, atol=1e-4 * largest)


def test_the_comparison_with_captum_as_the_notebook_prints_it():
    (code,) = re.findall(r"```python\n(.*?)```", SOURCES["right"], re.DOTALL)
    vgg = load_classifier("vgg16_animals")
    photo = load_image(data_path("scenes", "elephants.jpg"))
    x = vgg.preprocess(photo)[None]
    c = vgg.categories.index("African_elephant")
    assert grad_cam(vgg.model, "features.29", x, c).maps.max() > 0.1
    names = {"vgg": vgg, "x": x, "c": c, "torch": torch, "grad_cam": grad_cam}
    exec(code, names)
    wrong = code.replace('"features.29", x, c', '"features.29", x, c - 1')
    with pytest.raises(AssertionError):  # Another class has another map.
        exec(wrong, names)
