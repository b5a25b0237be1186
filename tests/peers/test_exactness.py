"""Our maps beside those of captum, torchcam and pytorch-grad-cam: same weights, pictures, class.

captum and torchcam give the map as it is, so it must be ours. pytorch-grad-cam gives it enlarged to
the picture and scaled, so ours goes through its own scaling first. torchcam and pytorch-grad-cam
keep a reference to the target layer's output: where a ReLU overwrites that output in place, they
are compared on a network of the same weights whose ReLU does not.
"""

import pytest
import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM as PytorchGradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torchcam import methods as torchcam

from camutils import class_activation_map, grad_cam

CLASSES = [1, 386, 999]
EVERY_RELU_KEEPS_ITS_INPUT = ["resnet18", "efficientnet_lite0"]
ALL = ["vgg19", "densenet201", *EVERY_RELU_KEEPS_ITS_INPUT]


@pytest.fixture(scope="module")
def x():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


class DenseNetWithPlainRelu(nn.Module):
    """A DenseNet's own modules; the ReLU after its last normalisation is not in place."""

    def __init__(self, net):
        super().__init__()
        self.features, self.classifier = net.features, net.classifier

    def forward(self, x):
        return self.classifier(self.features(x).relu().mean((2, 3)))


class EndsInRelu(nn.Module):
    """Convolution → batch norm, the target layer → ReLU → GAP → linear, as in DenseNet."""

    def __init__(self, inplace):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 1000)
        self.norm, self.relu = nn.BatchNorm2d(8), nn.ReLU(inplace)

    def forward(self, x):
        return self.head(self.relu(self.norm(self.conv(x))).mean((2, 3)))


def maps_of_captum(model, layer, x):
    explainer = LayerGradCam(model, model.get_submodule(layer))
    maps = [explainer.attribute(x, c, relu_attributions=True).detach() for c in CLASSES]
    return torch.cat(maps, 1)


def maps_of_torchcam(model, layer, x):
    with torchcam.GradCAM(model, layer) as extractor:
        maps = [extractor([c] * len(x), model(x), normalized=False)[0] for c in CLASSES]
    model.zero_grad(set_to_none=True)
    return torch.stack(maps, 1).relu().detach()


def maps_of_pytorch_grad_cam(model, layer, x):
    with PytorchGradCAM(model, [model.get_submodule(layer)]) as cam:
        maps = [cam(x, [ClassifierOutputTarget(c)] * len(x)) for c in CLASSES]
    model.zero_grad(set_to_none=True)
    return torch.stack([torch.as_tensor(m) for m in maps], 1)


def scaled_by_pytorch_grad_cam(maps, x):
    size = tuple(x.shape[:1:-1])
    once = scale_cam_image(maps.flatten(0, 1).numpy(), size)
    return torch.as_tensor(scale_cam_image(once, size)).unflatten(0, maps.shape[:2])


def our_maps(model, layer, x):
    maps = grad_cam(model, layer, x, torch.tensor([CLASSES] * len(x))).maps
    assert maps.amax((0, 2, 3)).min() > 0, "a comparison of blank maps proves nothing"
    return maps


def assert_close(ours, theirs):
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 1e-5 * ours.max()


@pytest.mark.parametrize("name", ALL)
def test_maps_equal_captums_at_each_networks_target_layer(classifier, x, name):
    network = classifier(name)
    arguments = network.model, network.target_layer, x
    assert_close(our_maps(*arguments), maps_of_captum(*arguments))


@pytest.mark.parametrize("name", EVERY_RELU_KEEPS_ITS_INPUT)
def test_maps_equal_torchcams_at_each_networks_target_layer(classifier, x, name):
    network = classifier(name)
    arguments = network.model, network.target_layer, x
    assert_close(our_maps(*arguments), maps_of_torchcam(*arguments))


@pytest.mark.parametrize("name", EVERY_RELU_KEEPS_ITS_INPUT)
def test_maps_equal_pytorch_grad_cams_at_each_networks_target_layer(classifier, x, name):
    network = classifier(name)
    arguments = network.model, network.target_layer, x
    ours = scaled_by_pytorch_grad_cam(our_maps(*arguments), x)
    assert_close(ours, maps_of_pytorch_grad_cam(*arguments))


def test_densenet_has_the_maps_that_peers_give_once_its_relu_keeps_its_input(classifier, x):
    model, layer = classifier("densenet201").model, "features.norm5"
    ours, plain = our_maps(model, layer, x), DenseNetWithPlainRelu(model).eval()
    assert_close(ours, maps_of_torchcam(plain, layer, x))
    theirs = maps_of_pytorch_grad_cam(plain, layer, x)
    assert_close(scaled_by_pytorch_grad_cam(ours, x), theirs)


def test_an_in_place_relu_gives_the_maps_of_all_peers_without_it(x):
    ours, plain = our_maps(EndsInRelu(inplace=True).eval(), "norm", x), EndsInRelu(False).eval()
    assert_close(ours, maps_of_captum(plain, "norm", x))
    assert_close(ours, maps_of_torchcam(plain, "norm", x))
    theirs = maps_of_pytorch_grad_cam(plain, "norm", x)
    assert_close(scaled_by_pytorch_grad_cam(ours, x), theirs)


def test_class_activation_maps_equal_torchcams(classifier, x):
    model = classifier("resnet18").model
    with torch.no_grad(), torchcam.CAM(model, "layer4", "fc") as extractor:
        model(x)
        theirs = torch.stack([extractor(c, normalized=False)[0] for c in CLASSES], 1)
        features = nn.Sequential(*list(model.children())[:-2])(x)
    ours = class_activation_map(features, model.fc.weight.detach(), CLASSES)
    assert ours.min() < 0
    # Some versions of torchcam end with a ReLU.
    assert_close(ours.relu() if theirs.min() >= 0 else ours, theirs)
