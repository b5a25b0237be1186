"""Our maps beside those of captum, torchcam and pytorch-grad-cam, and why two of them differ."""

from pathlib import Path

import pytest
import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM as PytorchGradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torchcam.methods import GradCAM as TorchCAM

from camutils import grad_cam, load_classifier, normalize_map


class EndsInRelu(nn.Module):
    """Convolution → the target layer → ReLU as a function → GAP → linear, as in DenseNet."""

    def __init__(self, inplace):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)
        self.inplace = inplace

    def forward(self, x):
        activation = self.norm(self.conv(x))
        activation = nn.functional.relu(activation, inplace=self.inplace)
        return self.head(activation.mean((2, 3)))


def case(inplace):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return EndsInRelu(inplace).eval(), torch.randn(2, 3, 9, 9)


def written_out(model, x, target):
    """Equations 1 and 2 of Grad-CAM on the layer's own output; no hooks, nothing in place."""
    activation = model.norm(model.conv(x)).detach().requires_grad_()
    score = model.head(activation.relu().mean((2, 3)))[:, target].sum()
    (gradient,) = torch.autograd.grad(score, activation)
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * activation.detach()).sum(1).relu()


def torchcam_map(model, x, target):
    with TorchCAM(model, "norm") as extractor:
        return extractor(target, model(x), normalized=False)[0]


def pytorch_grad_cam_map(model, x, target):
    with PytorchGradCAM(model=model, target_layers=[model.norm]) as cam:
        return torch.as_tensor(cam(x, [ClassifierOutputTarget(target)] * len(x)))


def scaled_by_pytorch_grad_cam(maps, x):
    size = tuple(x.shape[:1:-1])
    return torch.as_tensor(scale_cam_image(scale_cam_image(maps.numpy(), size)))


@pytest.mark.parametrize("inplace", [False, True])
def test_an_in_place_relu_after_the_layer_leaves_our_map_as_the_formula_has_it(inplace):
    model, x = case(inplace)
    for target in range(4):
        expected = written_out(model, x, target)
        assert expected.amax() > 0
        torch.testing.assert_close(grad_cam(model, "norm", x, target).maps[:, 0], expected)
        captum = LayerGradCam(model, model.norm).attribute(x, target, relu_attributions=True)
        torch.testing.assert_close(captum[:, 0].detach(), expected)


def test_torchcam_weights_the_activation_that_the_relu_has_overwritten():
    for target in range(4):
        model, x = case(inplace=False)
        expected = written_out(model, x, target)
        torch.testing.assert_close(torchcam_map(model, x, target), expected)
        model, x = case(inplace=True)
        assert (torchcam_map(model, x, target) - expected).abs().max() > 0.05 * expected.max()
    with TorchCAM(model, "norm") as extractor:
        model(x)
        stored = extractor.hook_a[0]
    assert stored.min() >= 0  # What it keeps has gone through the ReLU ...
    assert model.norm(model.conv(x)).min() < 0  # ... that the layer's own output has not.


def test_pytorch_grad_cam_does_the_same_on_the_cpu():
    worst = 0.0
    for target in range(4):
        model, x = case(inplace=False)
        expected = scaled_by_pytorch_grad_cam(written_out(model, x, target), x)
        theirs = pytorch_grad_cam_map(model, x, target)
        torch.testing.assert_close(theirs, expected, atol=1e-5, rtol=0)
        model, x = case(inplace=True)
        worst = max(worst, (pytorch_grad_cam_map(model, x, target) - expected).abs().max().item())
    assert worst > 0.05


def test_the_embedded_network_gives_the_maps_of_all_peers(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "benchmarks"))
    import exactness
    from methods import PEERS

    classifier = load_classifier("efficientnet_lite0", "embedded")
    x = exactness.pictures(classifier)
    classes = exactness.classes_with_maps(classifier, x, 2)
    assert len(classes) == 2
    for peer in PEERS:
        assert exactness.differences(classifier, peer, x, classes).max() < 1e-5, peer


def test_densenet_differs_where_its_in_place_relu_comes_and_only_there(elephants):
    classifier = load_classifier("densenet201", "random")
    model, x = classifier.model, classifier.preprocess(elephants)[None]
    result = grad_cam(model, "features.norm5", x, list(range(20)))
    shown = result.maps[0].amax((-2, -1)).argmax().item()
    ours = normalize_map(result.maps[:, shown])
    captum = LayerGradCam(model, model.features.norm5)
    captum = captum.attribute(x, shown, relu_attributions=True)[:, 0].detach()
    torch.testing.assert_close(normalize_map(captum), ours, atol=1e-5, rtol=0)
    for target_layer, alike in (("features.norm5", False), ("features.denseblock4", True)):
        with TorchCAM(model, target_layer) as extractor:
            theirs = extractor(shown, model(x), normalized=False)[0]
        mine = grad_cam(model, target_layer, x, shown).maps[:, 0]
        assert torch.allclose(normalize_map(theirs), normalize_map(mine), atol=1e-5) == alike
