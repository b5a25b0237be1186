"""`grad_cam` beside the peers, the equations, every mode and every form of its arguments."""

import threading
import warnings

import captum.attr
import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM as PytorchGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torchcam.methods import GradCAM as TorchcamGradCAM
from torchvision import models

from camutils import class_activation_map, grad_cam, normalize_map, overlay

pytestmark = pytest.mark.filterwarnings("error")
NETWORKS = ["vgg19", "resnet18", "densenet201", "efficientnet_lite0"]
QUICK = NETWORKS[1:]
CLASSES = [1, 386, 999]


def pictures(n=2, height=64, width=96, seed=0):
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


def small_net(*after, seed=0):
    """Stack → whatever is asked for → GAP → linear, in eval mode; its target layer is `stack`."""
    torch.manual_seed(seed)
    net = nn.Sequential()
    net.add_module("stack", nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6)))
    for i, module in enumerate(after):
        net.add_module(f"after_{i}", module)
    net.add_module("pooling", nn.AdaptiveAvgPool2d(1))
    net.add_module("flat", nn.Flatten())
    net.add_module("head", nn.Linear(6, 5))
    return net.eval()


def by_hand(activations, scores_of, classes):
    """Equations 1 and 2 of the Grad-CAM paper, one class and one picture at a time."""
    maps = []
    for picture in activations.detach():
        leaf = picture[None].clone().requires_grad_()
        for c in classes:
            (gradient,) = torch.autograd.grad(scores_of(leaf)[0, c], leaf)
            maps.append((gradient.mean((2, 3), keepdim=True) * leaf.detach()).sum(1)[0].relu())
    return torch.stack(maps).unflatten(0, (len(activations), len(classes)))


def assert_maps_equal(ours, expected, tolerance=1e-5):
    assert ours.shape == expected.shape
    assert expected.max() > 0, "a comparison of blank maps proves nothing"
    assert (ours - expected).abs().max() <= tolerance * expected.max()


class OutOfPlaceDenseNet(nn.Module):
    """DenseNet whose ReLU after `norm5` is not in place, as hooks of other libraries need it."""

    def __init__(self, net):
        super().__init__()
        self.features, self.classifier = net.features, net.classifier

    def forward(self, x):
        return self.classifier(nn.functional.relu(self.features(x)).mean((2, 3)))


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_equal_captums(classifier, name):
    network = classifier(name)
    x = pictures()
    ours = grad_cam(network.model, network.target_layer, x, CLASSES)
    layer = network.model.get_submodule(network.target_layer)
    captums = captum.attr.LayerGradCam(network.model, layer)
    for k, c in enumerate(CLASSES):
        expected = captums.attribute(x, c, relu_attributions=True).detach()
        assert_maps_equal(ours.maps[:, k], expected[:, 0])


def torchcams_map(model, layer, x, c):
    with TorchcamGradCAM(model, target_layer=layer) as extractor:
        (maps,) = extractor([c] * len(x), model(x), normalized=False)
    model.zero_grad()
    return maps.relu().detach()


def test_maps_equal_torchcams(classifier):
    network = classifier("resnet18")
    x = pictures()
    ours = grad_cam(network.model, "layer4", x, 386).maps[:, 0]
    assert_maps_equal(ours, torchcams_map(network.model, "layer4", x, 386))


def test_maps_equal_torchcams_on_densenet_once_its_relu_is_not_in_place(classifier):
    model, x = classifier("densenet201").model, pictures(1)
    ours = grad_cam(model, "features.norm5", x, 386).maps[:, 0]
    fair = OutOfPlaceDenseNet(model)
    assert_maps_equal(ours, torchcams_map(fair, "features.norm5", x, 386))
    spoilt = torchcams_map(model, "features.norm5", x, 386)
    assert (ours - spoilt).abs().max() > 0.01 * ours.max()


def test_maps_equal_pytorch_grad_cams(classifier):
    network = classifier("resnet18")
    x = pictures(1)
    ours = grad_cam(network.model, "layer4", x, 386).maps[0, 0]
    targets = [ClassifierOutputTarget(386)]
    with PytorchGradCAM(network.model, [network.model.layer4]) as theirs:
        expected = theirs(input_tensor=x, targets=targets)[0]
    network.model.zero_grad()
    scaled = (ours / ours.max()).numpy()  # It scales by the maximum and interpolates, then again.
    scaled = cv2.resize((scaled - scaled.min()) / (scaled - scaled.min()).max(), (96, 64))
    np.testing.assert_allclose(normalize_map(scaled), normalize_map(expected), atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_the_models_own_and_the_default_class_is_the_top_one(classifier, name):
    network = classifier(name)
    x = pictures(2)
    result = grad_cam(network.model, network.target_layer, x)
    with torch.no_grad():
        logits = network.model(x)
    torch.testing.assert_close(result.logits, logits)
    assert result.classes.tolist() == logits.argmax(1, keepdim=True).tolist()
    assert result.classes.dtype == torch.int64
    assert result.maps.shape[:2] == (2, 1)
    assert result.maps.min() >= 0
    assert not any(tensor.requires_grad for tensor in result)


@pytest.mark.parametrize("name", QUICK)
def test_a_batch_equals_its_pictures_one_by_one(classifier, name):
    network = classifier(name)
    x = pictures(3)
    batch = grad_cam(network.model, network.target_layer, x, CLASSES)
    for i in range(3):
        one = grad_cam(network.model, network.target_layer, x[i : i + 1], CLASSES)
        assert (batch.maps[i] - one.maps[0]).abs().max() <= 1e-5 * batch.maps.max()
        torch.testing.assert_close(batch.logits[i], one.logits[0])


@pytest.mark.parametrize("name", QUICK)
def test_several_classes_equal_each_class_by_itself(classifier, name):
    network = classifier(name)
    x = pictures(2)
    together = grad_cam(network.model, network.target_layer, x, CLASSES)
    for k, c in enumerate(CLASSES):
        alone = grad_cam(network.model, network.target_layer, x, c).maps[:, 0]
        assert (together.maps[:, k] - alone).abs().max() <= 1e-5 * together.maps.max()


def test_maps_equal_the_papers_equations_written_out():
    net = small_net(nn.Conv2d(6, 6, 3, padding=1), nn.Tanh()).double()
    x = pictures().double()
    result = grad_cam(net, "stack", x, [0, 3])
    expected = by_hand(net.stack(x), net[1:], [0, 3])
    assert_maps_equal(result.maps, expected, 1e-12)


def test_grad_cam_of_gap_and_linear_is_cam_over_the_number_of_cells(classifier, elephants):
    network = classifier("efficientnet_lite0")
    x = network.preprocess(elephants)[None]
    result = grad_cam(network.model, "features", x, CLASSES)
    with torch.no_grad():
        features = network.model.features(x)
    cam = class_activation_map(features, network.model.classifier[1].weight.detach(), CLASSES)
    assert_maps_equal(result.maps, cam.relu() / features[0, 0].numel())
    bias = network.model.classifier[1].bias[CLASSES].detach()
    torch.testing.assert_close(cam.mean((2, 3)) + bias, result.logits[:, CLASSES])


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (4, [[4], [4]]),
        (np.int64(4), [[4], [4]]),
        (torch.tensor(4), [[4], [4]]),
        ([4, 1, 1], [[4, 1, 1], [4, 1, 1]]),
        ((4, 1), [[4, 1], [4, 1]]),
        (range(2), [[0, 1], [0, 1]]),
        ([np.int32(4)], [[4], [4]]),
        (torch.tensor([[4, 1], [0, 2]]), [[4, 1], [0, 2]]),
        (torch.tensor([[4], [0]], dtype=torch.uint8), [[4], [0]]),
        (np.array([[4, 1], [0, 2]], dtype=np.int16), [[4, 1], [0, 2]]),
        (np.array([[4], [0]], dtype=np.uint64), [[4], [0]]),
    ],
    ids=repr,
)
def test_every_form_of_classes_means_what_it_says(classes, expected):
    net, x = small_net(), pictures()
    result = grad_cam(net, "stack", x, classes)
    assert result.classes.tolist() == expected
    assert result.classes.dtype == torch.int64
    everything = grad_cam(net, "stack", x, list(range(5))).maps
    chosen = torch.stack([everything[i, row] for i, row in enumerate(expected)])
    torch.testing.assert_close(result.maps, chosen)
    cam = class_activation_map(net.stack(x), net.head.weight, classes)
    torch.testing.assert_close(cam.relu().detach() / cam[0, 0].numel(), chosen)


def test_the_layer_may_be_a_module_a_dotted_or_an_underscored_name():
    net, x = small_net(), pictures()
    expected = grad_cam(net, net.stack[1], x, 2).maps
    for layer in ("stack.1", "stack_1"):
        assert torch.equal(grad_cam(net, layer, x, 2).maps, expected)


def test_a_real_name_goes_before_one_with_underscores_for_dots():
    net = small_net()
    net.add_module("stack_0", nn.Identity().eval())  # Runs last and gives no map.
    with pytest.raises(ValueError, match=r"^layer: got 'stack_0', which gives \(2, 5\)"):
        grad_cam(net, "stack_0", pictures())


def test_of_a_layer_that_runs_several_times_the_last_run_counts():
    shared = nn.ReLU()
    net = small_net(shared, nn.Conv2d(6, 6, 3, padding=1), shared)
    x = pictures()
    with torch.no_grad():
        last = shared(net.after_1(shared(net.stack(x))))
    expected = by_hand(last, lambda leaf: net.head(leaf.mean((2, 3))), [0, 3])
    for layer in (shared, "after_0", "after_2"):
        assert_maps_equal(grad_cam(net, layer, x, [0, 3]).maps, expected)


def test_an_in_place_relu_right_after_the_layer_changes_nothing():
    x = pictures()
    in_place, plain = small_net(nn.ReLU(inplace=True)), small_net(nn.ReLU())
    expected = by_hand(plain.stack(x), plain[1:], [0, 3])
    assert_maps_equal(grad_cam(in_place, "stack", x, [0, 3]).maps, expected)


def test_an_in_place_relu_hidden_in_forward_changes_nothing():
    class Hidden(nn.Module):
        def forward(self, x):
            nn.functional.relu(x, inplace=True)
            return x * 2

    x, plain = pictures(), small_net(nn.ReLU())
    expected = by_hand(plain.stack(x), lambda leaf: plain[1:](leaf) * 2, [0, 3])
    assert_maps_equal(grad_cam(small_net(Hidden()), "stack", x, [0, 3]).maps, expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("x_inside", [True, False])
@pytest.mark.parametrize("layer", ["stack", "after_0"])
def test_it_works_under_every_gradient_mode(mode, x_inside, layer):
    class TimesInput(nn.Module):  # Its gradient needs the picture itself, from either mode.
        def forward(self, maps):
            return maps * self.x.mean()

    net = small_net(nn.ReLU(inplace=True), TimesInput())
    x = pictures()
    net.after_1.x = x
    expected = grad_cam(net, layer, x, [0, 3])
    with mode():
        inside = x.clone() if x_inside else x
        result = grad_cam(net, layer, inside, [0, 3])
        entered = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
        assert entered == (mode is torch.inference_mode, mode is torch.enable_grad)
    assert torch.is_grad_enabled()
    assert torch.equal(result.maps, expected.maps)


def test_a_picture_made_under_inference_mode_may_come_back_after_the_layer():
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.stack, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 5)

        def forward(self, x):
            return self.head((self.stack(x) * x).mean((2, 3)))

    net, x = Gate().eval(), pictures()
    expected = grad_cam(net, "stack", x, [0, 1]).maps
    with torch.inference_mode():
        inside = x.clone()
    assert torch.equal(grad_cam(net, "stack", inside, [0, 1]).maps, expected)
    assert torch.equal(
        grad_cam(nn.Sequential(nn.Identity(), net).eval(), "0", inside).maps[0, 0],
        grad_cam(nn.Sequential(nn.Identity(), net).eval(), "0", x).maps[0, 0],
    )


def test_two_threads_on_one_model_get_their_own_maps():
    barrier = threading.Barrier(2, timeout=20)

    class Meet(nn.Module):
        def forward(self, x):
            barrier.wait()  # Both threads are inside the forward pass, both hooks are set.
            return x

    alone = small_net(nn.ReLU(inplace=True))
    net = nn.Sequential(Meet(), alone.stack, Meet(), *alone[1:]).eval()
    jobs = [(pictures(seed=1), [0, 1, 2]), (pictures(n=3, height=32, seed=2), [4])]
    expected = [grad_cam(alone, "stack", *job) for job in jobs]
    results = [[], []]

    def work(i):
        for _ in range(10):
            results[i].append(grad_cam(net, "1", *jobs[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(2):
        assert len(results[i]) == 10
        for result in results[i]:
            assert torch.equal(result.maps, expected[i].maps)
            assert torch.equal(result.logits, expected[i].logits)


def snapshot(net):
    return (
        [m.training for m in net.modules()],
        [p.requires_grad for p in net.parameters()],
        [p.grad for p in net.parameters()],
        [{name: len(v) for name, v in vars(m).items() if "hooks" in name} for m in net.modules()],
        {name: value.sum() for name, value in net.state_dict().items()},
    )


def assert_untouched(net, before):
    after = snapshot(net)
    assert after[:4] == before[:4]
    assert all(torch.equal(after[4][name], value) for name, value in before[4].items())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_left_on_the_model(classifier, name):
    network = classifier(name)
    x = pictures(1)
    kept, before = x.clone(), snapshot(network.model)
    grad_cam(network.model, network.target_layer, x, CLASSES)
    assert_untouched(network.model, before)
    assert torch.equal(x, kept)
    assert not x.requires_grad


class Broken(nn.Module):
    """Raises what it is given in the middle of the forward pass."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyError("no"), KeyboardInterrupt()])
def test_nothing_is_left_on_a_model_that_raises(error):
    net = small_net(Broken(error))
    net.head.weight.requires_grad_(False)
    before = snapshot(net)
    with pytest.raises(type(error)):
        grad_cam(net, "stack", pictures())
    assert_untouched(net, before)


@pytest.mark.parametrize("arguments", [{"classes": 5}, {"classes": [-1]}, {"layer": "head"}])
def test_nothing_is_left_where_the_arguments_are_refused(arguments):
    net = small_net()
    before = snapshot(net)
    with pytest.raises(ValueError, match=r"^(classes|layer): "):
        grad_cam(**{"model": net, "layer": "stack", "x": pictures(), **arguments})
    assert_untouched(net, before)


def test_gradients_that_the_caller_has_gathered_stay():
    net = small_net()
    net(pictures()).sum().backward()
    gathered = [p.grad.clone() for p in net.parameters()]
    grad_cam(net, "stack", pictures(), [0, 1])
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), gathered, strict=True))


def test_a_frozen_model_has_the_same_map():
    net, x = small_net(nn.ReLU(inplace=True)), pictures()
    expected = grad_cam(net, "stack", x, 1).maps
    assert torch.equal(grad_cam(net.requires_grad_(False), "stack", x, 1).maps, expected)


def test_running_out_of_memory_keeps_its_type():
    error = torch.OutOfMemoryError("64 GB")
    with pytest.raises(torch.OutOfMemoryError):
        grad_cam(small_net(Broken(error)), "stack", pictures())


def test_double_and_bfloat16_networks_have_maps_of_their_own_type():
    expected = grad_cam(small_net(), "stack", pictures(), [0, 1]).maps
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.bfloat16, 0.05)):
        maps = grad_cam(small_net().to(dtype), "stack", pictures().to(dtype), [0, 1]).maps
        assert maps.dtype == dtype
        assert_maps_equal(maps.float(), expected, tolerance)


def test_autocast_works():
    net, x = small_net(nn.Conv2d(6, 6, 1)), pictures()
    expected = grad_cam(net, "stack", x, [0, 1]).maps
    with torch.autocast("cpu", torch.bfloat16):
        assert_maps_equal(grad_cam(net, "stack", x, [0, 1]).maps.float(), expected, 0.1)


def test_channels_last_features_are_refused():
    net = models.SwinTransformer([4, 4], 24, [1, 1], [1, 1], [7, 7]).eval()
    with pytest.raises(ValueError, match=r"^layer: .* gives \(1, 8, 12, 48\), channels last"):
        grad_cam(net, "features", pictures(1))
    assert grad_cam(net, "permute", pictures(1)).maps.shape == (1, 1, 8, 12)


def test_the_channels_last_memory_format_is_no_channels_last_shape(classifier):
    network = classifier("resnet18")
    x = pictures()
    expected = grad_cam(network.model, "layer4", x, 386).maps
    maps = grad_cam(network.model, "layer4", x.to(memory_format=torch.channels_last), 386).maps
    assert_maps_equal(maps, expected)


@pytest.mark.parametrize("size", [(64, 160), (160, 64), (96, 96)])
def test_a_map_has_the_proportions_of_its_input(classifier, size):
    network = classifier("resnet18")
    assert grad_cam(network.model, "layer4", pictures(1, *size)).maps.shape[2:] == (
        size[0] // 32,
        size[1] // 32,
    )


@pytest.mark.parametrize("size", [(640, 320), (300, 500)])
@pytest.mark.parametrize("cell", [(0, 0), (1, 5), (6, 3), (6, 6)])
def test_a_map_cell_lies_over_its_place_in_a_picture_that_is_not_square(classifier, size, cell):
    network = classifier("efficientnet_lite0")
    row, column = cell
    width, height = size
    box = [round(v) for v in (column * width / 7, row * height / 7)]
    picture = Image.new("RGB", size, "black")
    picture.paste("white", (*box, box[0] + round(width / 7), box[1] + round(height / 7)))
    # A network whose map is the brightness of its input: one white cell in, one hot cell out.
    bright = nn.Sequential(nn.AvgPool2d(32), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    x = network.preprocess(picture)[None]
    heat = normalize_map(grad_cam(bright, "0", x, 0).maps[0, 0])
    assert divmod(heat.argmax().item(), 7) == cell
    laid = np.asarray(overlay(picture, heat, alpha=1.0, colormap="gray"))[..., 0]
    hot = np.argwhere(laid == laid.max()).mean(0) / (height, width) * 7
    np.testing.assert_allclose(hot, (row + 0.5, column + 0.5), atol=0.5)
    assert laid[round((row + 0.5) * height / 7), round((column + 0.5) * width / 7)] > 240


def test_no_warning_is_raised_for_many_classes_on_vgg19(classifier):
    network = classifier("vgg19")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = grad_cam(network.model, network.target_layer, pictures(2), list(range(20)))
    assert result.maps.shape == (2, 20, 4, 6)


def test_a_function_without_batching_rule_after_the_layer_works_for_several_classes():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gradient):
            return 2 * gradient

    class Doubling(nn.Module):
        def forward(self, x):
            return Double.apply(x)

    net, x = small_net(Doubling()), pictures()
    expected = by_hand(net.stack(x), lambda leaf: net[2:](2 * leaf), [0, 3])
    assert_maps_equal(grad_cam(net, "stack", x, [0, 3]).maps, expected)


def test_normalize_map_takes_each_map_by_itself():
    maps = torch.tensor([[[1.0, 3.0]], [[10.0, 10.0]], [[-4.0, -2.0]]])
    assert normalize_map(maps).tolist() == [[[0, 1]], [[0, 0]], [[0, 1]]]
    assert normalize_map(maps.numpy()).tolist() == [[[0, 1]], [[0, 0]], [[0, 1]]]


def test_classes_may_be_a_reversed_array(classifier):
    network = classifier("efficientnet_lite0")
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        best = np.argsort(network.model(x).numpy(), axis=1)[:, ::-1][:, :2]
    result = grad_cam(network.model, network.target_layer, x, best)
    assert result.classes.tolist() == result.logits.topk(2).indices.tolist()


def test_classes_may_be_an_array_without_dimensions(classifier):
    network = classifier("efficientnet_lite0")
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    result = grad_cam(network.model, network.target_layer, x, np.array(3))
    assert result.classes.tolist() == [[3], [3]]


def test_near_names_are_each_named_once():
    net = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Flatten()).eval()
    with pytest.raises(ValueError, match=r"expected a module of the model: 0\.0, 0, 1, \.\.\.$"):
        grad_cam(net, "0.1", torch.rand(1, 3, 8, 8))
