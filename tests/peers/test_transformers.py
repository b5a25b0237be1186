"""`reshape=` beside pytorch-grad-cam's `reshape_transform`, and captum as notebook 06 shows it."""

import re
from pathlib import Path

import nbformat
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torchvision import models

from camutils import data_path, grad_cam, load_classifier, load_image

PATH = Path(__file__).parents[2] / "notebooks" / "06_your_own_model.ipynb"
SNIPPETS = [
    code
    for cell in nbformat.read(PATH, 4).cells
    for code in re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL)
    if "captum" in code
]


def patches_as_grid(tokens):
    """The reshape of pytorch-grad-cam's own example for ViT; the first token is the class's."""
    patches = tokens[:, 1:].reshape(len(tokens), 14, 14, -1)
    return patches.transpose(2, 3).transpose(1, 2)


def channels_first(output):
    """The reshape of pytorch-grad-cam's own example for Swin, whose grid torchvision keeps."""
    return output.transpose(2, 3).transpose(1, 2)


def vit():
    size = {"num_layers": 3, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128, "num_classes": 10}
    model = models.VisionTransformer(image_size=224, patch_size=16, **size)
    nn.init.normal_(model.heads.head.weight)  # torchvision starts it at zero.
    return model


def swin():
    return models.SwinTransformer([4, 4], 24, [2, 2], [2, 4], [7, 7], num_classes=10)


def theirs(model, layer, x, c, reshape):
    class Unscaled(GradCAM):
        """Their maps before they are scaled to [0, 1] and enlarged."""

        def compute_cam_per_layer(self, inputs, targets, eigen_smooth):
            activations = self.activations_and_grads.activations[0].numpy()
            gradients = self.activations_and_grads.gradients[0].numpy()
            map_ = self.get_cam_image(inputs, layer, targets, activations, gradients, eigen_smooth)
            self.kept = torch.from_numpy(map_.clip(0))
            return super().compute_cam_per_layer(inputs, targets, eigen_smooth)

    with Unscaled(model, [model.get_submodule(layer)], reshape_transform=reshape) as method:
        method(x, [ClassifierOutputTarget(c)] * len(x))
        return method.kept


@pytest.mark.parametrize(
    ("make", "layer", "reshape", "their_reshape"),
    [
        (
            vit,
            "encoder.layers.encoder_layer_1",
            lambda t: t[:, 1:].unflatten(1, (14, 14)).permute(0, 3, 1, 2),
            patches_as_grid,
        ),
        (
            vit,
            "encoder.layers.encoder_layer_2.ln_1",
            lambda t: t[:, 1:].unflatten(1, (14, 14)).permute(0, 3, 1, 2),
            patches_as_grid,
        ),
        (swin, "features.1", lambda t: t.permute(0, 3, 1, 2), channels_first),
        (swin, "norm", lambda t: t.permute(0, 3, 1, 2), channels_first),
    ],
    ids=["vit, a block", "vit, the last norm", "swin, a stage", "swin, the last norm"],
)
def test_reshape_is_their_reshape_transform(make, layer, reshape, their_reshape):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = make().eval(), torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        logits = model(x)
    result = grad_cam(model, layer, x, torch.tensor([[7, 2], [7, 2]]), reshape=reshape)
    torch.testing.assert_close(result.logits, logits)
    for k, c in enumerate((7, 2)):
        expected = theirs(model, layer, x, c, their_reshape)
        largest = expected.max().item()
        assert largest > 0
        torch.testing.assert_close(result.maps[:, k], expected, rtol=1e-3, atol=1e-4 * largest)


@pytest.mark.parametrize("code", SNIPPETS, ids=["snippet"] * len(SNIPPETS))
def test_the_comparison_with_captum_as_the_notebook_prints_it(code):
    vgg = load_classifier("vgg16_animals")
    photo = load_image(data_path("scenes", "elephants.jpg"))
    x = vgg.preprocess(photo)[None]
    c = vgg.categories.index("African_elephant")
    assert grad_cam(vgg.model, "features.29", x, c).maps.max() > 0.1
    names = {"vgg": vgg, "photo": photo, "x": x, "c": c, "torch": torch, "grad_cam": grad_cam}
    exec(code, names)
    wrong = code.replace('"features.29", x, c', '"features.29", x, c - 1')
    with pytest.raises(AssertionError):  # Another class has another map.
        exec(wrong, names)
