"""DenseNet201 itself, untrained: its target layers, and the article's wrapper."""

from pathlib import Path

import nbformat
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from camutils import data_path, grad_cam, load_classifier, load_image

FOLDER = Path(__file__).parents[2] / "notebooks"
NAME = "03_gradcam_densenet201_iguanas.ipynb"


@pytest.fixture(scope="module")
def densenet():
    return load_classifier("densenet201", weights="random")


@pytest.fixture(scope="module")
def x(densenet):
    pictures = [load_image(data_path("scenes", f"{n}.webp")) for n in ("lizard", "dragon")]
    return torch.stack([densenet.preprocess(picture) for picture in pictures])


class Wrapper(nn.Module):
    """The article's: features, average pool, classifier."""

    def __init__(self, network, relu):
        super().__init__()
        self.features, self.classifier, self.relu = network.features, network.classifier, relu

    def forward(self, x):
        activation = self.features(x)
        if self.relu:
            activation = F.relu(activation)
        return self.classifier(activation.mean((2, 3)))


def close(one, other):
    return (one - other).abs().max() <= 1e-5 * other.abs().max()


def test_norm5_is_the_target_layer_with_all_channels(densenet, x):
    shapes = {}
    names = ("features.denseblock4.denselayer32.conv2", densenet.target_layer)
    handles = [
        densenet.model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: shapes.update({name: tuple(output.shape)})
        )
        for name in names
    ]
    with torch.inference_mode():
        densenet.model(x[:1])
    for handle in handles:
        handle.remove()
    assert densenet.target_layer == "features.norm5"
    assert list(shapes.values()) == [(1, 32, 7, 7), (1, 1920, 7, 7)]


def test_the_wrapper_is_torchvision_with_the_relu_and_not_without(densenet, x):
    with torch.inference_mode():
        theirs = densenet.model(x)
        assert torch.allclose(Wrapper(densenet.model, relu=True)(x), theirs, atol=1e-4)
        assert (Wrapper(densenet.model, relu=False)(x) - theirs).abs().max() > 0.1


def test_the_maps_follow_the_formulas_of_the_notebook(densenet, x):
    with torch.no_grad():
        activation = densenet.model.features(x)
    weight = densenet.model.classifier.weight.detach()[260] / 49
    positive = (activation > 0).float().mean((2, 3))
    article = torch.einsum("k,nkhw->nhw", weight, activation).relu()
    torchvision = torch.einsum("nk,nkhw->nhw", weight * positive, activation).relu()
    wrapped = Wrapper(densenet.model, relu=False).eval()
    assert close(grad_cam(wrapped, "features", x, 260).maps[:, 0], article)
    assert close(grad_cam(densenet.model, "features.norm5", x, 260).maps[:, 0], torchvision)
    assert not torch.allclose(article, torchvision, rtol=0.1)


def test_a_tensor_kept_by_a_hook_is_spoilt_and_ours_is_not(densenet, x):
    kept, copies, gradients = [], [], []

    def keep(module, args, output):
        kept.append(output)
        copies.append(output.detach().clone())
        output.register_hook(gradients.append)

    handle = densenet.model.features.norm5.register_forward_hook(keep)
    logits = densenet.model(x)
    handle.remove()
    torch.autograd.grad(logits[:, 260].sum(), list(densenet.model.parameters())[-3:])
    assert kept[0].min() == 0 > copies[0].min()

    def weighted(activation):
        weights = gradients[0].mean((2, 3))
        return torch.einsum("nk,nkhw->nhw", weights, activation.detach()).relu()

    ours = grad_cam(densenet.model, "features.norm5", x, 260).maps[:, 0]
    assert close(weighted(copies[0]), ours)
    assert not torch.allclose(weighted(kept[0]), ours, rtol=0.01)


def test_the_committed_notebook_shows_a_still_picture_and_no_widget():
    # A widget's model id is random, and without its kernel it is a warning box.
    notebook = nbformat.read(FOLDER / NAME, 4)
    (cell,) = (cell for cell in notebook.cells if cell.id == "hands-on")
    assert "widgets" not in notebook.metadata
    assert [sorted(output["data"]) for output in cell.outputs] == [["image/jpeg", "text/plain"]]


@pytest.mark.parametrize("name", [NAME, "solutions/03_solutions.ipynb"])
def test_our_boxes_and_masks_are_laid_on_our_pictures_only(name):
    # `scene_path` would give the reader's own original, which none of them fits.
    assert "scene_path" not in (FOLDER / name).read_text("utf-8")
