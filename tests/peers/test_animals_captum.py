"""Maps of `vgg16_animals`, where no CAM exists: Grad-CAM and HiResCAM beside captum's."""

import pytest
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation

from camutils import backpropagate, data_path, grad_cam, load_classifier, load_image

CLASSES = (4, 9)  # The African elephant, which is there, and the lion, which is not.


@pytest.fixture(scope="module")
def network():
    found = load_classifier("vgg16_animals")
    assert [found.categories[c] for c in CLASSES] == ["African_elephant", "lion"]
    elephants = load_image(data_path("scenes", "elephants.jpg"))
    return found.model, found.preprocess(elephants)[None]


def by_hand(model, x, target):
    """Activations at `features.29` and the gradient of the logit: the layers one by one."""
    with torch.no_grad():
        activations = model.features[:30](x)
    activations.requires_grad_()
    pooled = model.avgpool(model.features[30](activations))
    score = model.classifier(pooled.flatten(1))[0, target]
    (gradient,) = torch.autograd.grad(score, activations)
    return activations.detach(), gradient


def assert_same(ours, theirs):
    theirs = theirs.detach()
    largest = theirs.abs().max().item()
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * largest)


@pytest.mark.parametrize("target", CLASSES)
def test_grad_cam_is_captums(network, target):
    model, x = network
    theirs = LayerGradCam(model, model.features[29]).attribute(x, target, relu_attributions=True)
    assert theirs.max() > 0
    assert_same(grad_cam(model, "features.29", x, target).maps, theirs)


@pytest.mark.parametrize("target", CLASSES)
def test_grad_cam_by_hand_is_ours(network, target):
    model, x = network
    activations, gradient = by_hand(model, x, target)
    weighted = gradient.mean((2, 3), keepdim=True) * activations
    assert_same(grad_cam(model, "features.29", x, target).maps, weighted.sum(1, True).relu())


def test_hirescam_is_captums_gradient_times_activation(network):
    model, x = network
    activations, gradients, *_ = backpropagate(model, "features.29", x, CLASSES)
    for target, gradient in zip(CLASSES, gradients, strict=True):
        product = LayerGradientXActivation(model, model.features[29]).attribute(x, target)
        assert_same((gradient * activations).sum(1), product.sum(1))


def test_here_averaging_the_gradient_changes_the_map(network):
    """The gradient of a channel differs from cell to cell; behind GAP it could not."""
    activations, gradient = by_hand(*network, CLASSES[0])
    assert gradient.std((2, 3)).mean() > 2 * gradient.mean((2, 3)).abs().mean()
    averaged = (gradient.mean((2, 3), keepdim=True) * activations).sum(1).relu()
    hirescam = (gradient * activations).sum(1).relu()
    maps = torch.stack([averaged.flatten(), hirescam.flatten()])
    assert torch.corrcoef(maps)[0, 1] < 0.95
