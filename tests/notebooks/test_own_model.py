"""What notebook 06 says of other networks, with its own code; its tables row by row."""

import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import nbformat
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import get_model
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from camutils import crop_box, data_path, grad_cam, load_classifier, load_image, normalize_map
from course.own_model import BackboneUnderNoGrad, Then, last_of_each_grid

FOLDER = Path(__file__).parents[2] / "notebooks"
CELLS = {
    cell.id: cell.source for cell in nbformat.read(FOLDER / "06_your_own_model.ipynb", 4).cells
}
TABLES = CELLS["symptoms"]


@pytest.fixture(scope="module")
def shown():
    """What the notebook defines, without its figures."""
    names = {}
    for name in ("imports", "grids", "refusals", "two-logits"):
        exec(CELLS[name], names)
    names["bird"] = names["photograph_mask"](names["path"])
    for name in ("regions-code", "token-blocks"):
        exec(CELLS[name], names)
    return SimpleNamespace(**names)


def signed_by_hand(activation, score):
    """The map before the ReLU: the gradient of a score of one picture, pooled."""
    (gradient,) = torch.autograd.grad(score, activation, retain_graph=True)
    return (gradient.mean((2, 3), keepdim=True) * activation).sum(1)[0].detach()


def assert_same(ours, theirs):
    largest = theirs.abs().max().item()
    assert largest > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * largest)


def seeded(make, *shape):
    """An untrained network in eval mode, and a picture."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval(), torch.randn(*shape)


# Sections 1 to 5


def test_the_grids_are_found_and_no_hook_is_left(shown):
    assert last_of_each_grid(shown.lite.model, shown.x)[7, 7] == ("features", 1280)
    assert last_of_each_grid(shown.vgg.model, shown.x)[14, 14] == ("features.29", 512)
    assert not torch.nn.modules.module._global_forward_hooks


def test_what_runs_without_gradients_does_no_harm_after_the_layer_only(shown):
    frozen = load_classifier("efficientnet_lite0").model.requires_grad_(False)
    expected = grad_cam(frozen, "features", shown.x).maps
    with torch.inference_mode():  # As in Lightning's validation loop.
        assert torch.equal(grad_cam(frozen, "features", shown.x).maps, expected)
    assert expected.any()
    with pytest.raises(ValueError, match="no_grad"):
        grad_cam(BackboneUnderNoGrad(frozen).eval(), "model.features", shown.x)


@pytest.mark.parametrize("columns", [4, [4]], ids=["(N,)", "(N, 1)"])
def test_a_single_logit_has_a_map_for_and_one_against(shown, columns):
    """On a network of several layers, as VGG, with a gradient that differs from cell to cell."""
    vgg, x = shown.vgg.model, shown.x
    activation = vgg.features[:30](x).detach().requires_grad_()
    z = vgg.classifier(vgg.features[30](activation).flatten(1))[0, 4]
    single = Then(vgg, lambda logits: logits[:, columns]).eval()
    layer = "model.features.29"
    score = shown.scores["(-z, z)"]
    result = grad_cam(single, layer, x, score=lambda z: score(z.reshape(-1, 1)))
    against, for_it = result.maps[0]
    assert min(against.max(), for_it.max()) > 0
    assert_same(for_it - against, signed_by_hand(activation, z))
    assert not (for_it * against).any()
    assert_same(grad_cam(single, layer, x, score=lambda z: z).maps[0, 0], for_it)
    assert_same(grad_cam(single, layer, x, score=lambda z: -z).maps[0, 0], against)
    if columns == 4:
        with pytest.raises(ValueError, match="score="):
            grad_cam(single, layer, x)
    else:
        assert_same(grad_cam(single, layer, x).maps[0, 0], for_it)
    p = z.sigmoid().item()
    faded = grad_cam(single, layer, x, score=torch.sigmoid).maps[0, 0]
    assert_same(faded, p * (1 - p) * for_it)


def test_logits_are_taken_out_of_whatever_holds_them(shown):
    net, x = shown.lite.model, shown.x
    expected = grad_cam(net, "features", x, 96).maps
    for pack, take in (
        (lambda y: {"logits": y}, lambda out: out["logits"][:, 96]),
        (lambda y: SimpleNamespace(logits=y), lambda out: out.logits[:, 96]),
        (lambda y: (None, y), lambda out: out[1][:, 96]),
    ):
        packed = Then(net, pack).eval()
        with pytest.raises(TypeError, match="the model's output is a"):
            grad_cam(packed, "model.features", x)
        assert torch.equal(grad_cam(packed, "model.features", x, score=take).maps, expected)


def test_a_regions_mean_of_torchvisions_segmentation_network(shown):
    def make():
        return lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=shown.toucan + 1
        )

    network, x = seeded(make, 1, 3, 64, 96)
    mask = torch.zeros(64, 96)
    mask[10:40, 20:50] = 1
    layer, kept = network.backbone["16"], []
    with layer.register_forward_hook(lambda module, args, output: kept.append(output)):
        out = network(x)["out"]
    score = out[0, shown.toucan][mask > 0].mean()
    result = grad_cam(network, layer, x, score=shown.region_mean(mask))
    torch.testing.assert_close(result.logits[0, 0], score.detach())
    assert_same(result.maps[0, 0], signed_by_hand(kept[0], score).relu())


@pytest.mark.parametrize("enlarge", [False, True])
def test_at_the_last_grid_the_regions_mean_has_the_map_of_the_whole(shown, enlarge):
    """Also where the logits are enlarged to the picture, as torchvision does."""
    net, x = shown.lite.model, shown.x

    def per_cell(grid):
        out = shown.per_cell(grid)["out"]
        size = (224, 224) if enlarge else (7, 7)
        return {"out": F.interpolate(out, size, mode="bilinear", align_corners=False)}

    model = Then(net.features, per_cell).eval()
    region = grad_cam(model, "model", x, score=shown.region_mean(shown.inside))
    whole = grad_cam(net, "features", x, shown.toucan)
    assert region.logits[0, 0] > 2 * whole.logits[0, shown.toucan]
    assert_same(region.maps, whole.maps)


def test_which_layers_of_a_transformer_have_a_gradient(shown):
    vit, x = shown.vit, shown.x
    block = "encoder.layers.encoder_layer_"
    peaks = [
        grad_cam(vit, f"{block}{name}", x, 3, reshape=shown.patches).maps.max()
        for name in ("0", "1", "2.ln_1", "2")
    ]
    assert min(peaks[:3]) > 0
    assert peaks[3] == 0
    with pytest.raises(ValueError, match=r"\(1, 197, 64\).*reshape="):
        grad_cam(vit, f"{block}1", x, 3)
    averaged = Then(nn.Sequential(vit.encoder.layers), lambda t: vit.heads(t[:, 1:].mean(1))).eval()
    tokens = torch.randn(1, 197, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.grad(averaged(tokens)[0, 3], tokens)[0][:, 1:].any()


@pytest.mark.parametrize("name", ["bug-hook", "bug-scale", "bug-train"])
def test_the_bugs_of_the_bug_hunt_are_noticed(shown, name, capsys):
    exec(CELLS[name], vars(shown).copy())
    printed = capsys.readouterr().out
    assert len(printed) > 20
    assert "Right" not in printed


# The tables


def test_what_the_table_of_symptoms_says(shown):
    rows = re.findall(r"^\| (\d+) \|", TABLES, re.MULTILINE)
    assert rows == [str(i) for i in range(1, 13)]
    net, x = shown.lite.model, shown.x
    frozen = load_classifier("efficientnet_lite0").model.requires_grad_(False)
    with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad"):  # Row 2.
        frozen(x).max().backward()
    red_of_bgr = cv2.applyColorMap(np.full((1, 1), 255, np.uint8), cv2.COLORMAP_JET)[0, 0]
    assert red_of_bgr.tolist() == [0, 0, 128]  # Row 7: hot is red only if read as BGR.
    photo = load_image(data_path("photos", "animal", "toucan.webp"))
    heat = normalize_map(grad_cam(net, "features", x, 96).maps[0, 0])
    right, swapped = crop_box(heat, photo.size), crop_box(heat, photo.size[::-1])
    assert right != swapped  # Row 8.
    assert not normalize_map(torch.zeros(7, 7)).any()  # Row 10.
    with pytest.raises(ValueError, match="train mode"):  # Row 11.
        grad_cam(Then(net, lambda y: y).train(), "model.features", x)
    net.eval()


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.head = nn.Linear(4 + 2, 5)
        self.head.weight.data.abs_()  # So that no map is zero everywhere.

    def forward(self, x, second):
        return self.head(torch.cat([self.features(x).mean((2, 3)), second], dim=1))


def test_a_wrapper_holds_the_second_input():
    names = {"nn": nn}
    exec(re.search(r"```python\n(class .*?)```", TABLES, re.DOTALL)[1], names)
    model, x = seeded(TwoInputs, 1, 3, 9, 12)
    second = torch.tensor([[1.0, -2.0]])
    wrapped = names["HoldsTheSecond"](model, second).eval()
    result = grad_cam(wrapped, "model.features", x, 2)
    torch.testing.assert_close(result.logits, model(x, second).detach())
    features = model.features(x)
    by_hand = torch.einsum("k,khw->hw", model.head.weight[2, :4], features[0]).relu()
    assert_same(result.maps[0, 0], by_hand.detach() / by_hand.numel())


def test_one_box_of_a_detector():
    def make():
        return fasterrcnn_mobilenet_v3_large_320_fpn(
            weights=None, weights_backbone=None, box_score_thresh=0
        )

    model, x = seeded(make, 1, 3, 96, 128)
    score = eval(re.search(r"`score=(lambda out: out\[0\].*?)`", TABLES)[1])
    result = grad_cam(model, "backbone.body.16", x, score=score)
    boxes = model(x)[0]
    assert result.logits.item() == pytest.approx(boxes["scores"][3].item(), abs=1e-6)
    assert result.maps.shape[:2] == (1, 1)
    assert result.maps.any()


class Signal(nn.Module):
    """(N, 2, L), in one dimension."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU())
        self.head = nn.Linear(4, 5)
        self.head.weight.data.abs_()

    def forward(self, x):
        return self.head(self.features(x).mean(2))


class Volume(Signal):
    """(N, 2, D, H, W), in three dimensions."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv3d(2, 4, 3), nn.ReLU())

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3, 4)))


@pytest.mark.parametrize(
    ("make", "unpack", "shape"),
    [
        (Signal, lambda x: x[:, :, 0], (1, 2, 1, 30)),
        (Volume, lambda x: x.unflatten(2, (6, 7)), (1, 2, 6 * 7, 8)),
    ],
)
def test_signals_and_volumes_with_a_wrapper_and_a_reshape(make, unpack, shape):
    model, x = seeded(make, *shape)
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        grad_cam(model, "features", unpack(x), 1)
    pattern = r"lambda t: t\[:, :, None\]" if make is Signal else r"lambda t: t\.flatten\(2, 3\)"
    reshape = eval(re.search(pattern, TABLES)[0])
    wrapped = nn.Sequential(Then(nn.Identity(), unpack), model).eval()
    maps = grad_cam(wrapped, "1.features", x, 1, reshape=reshape).maps[0, 0]
    features = model.features(unpack(x))
    by_hand = torch.einsum("k,k...->...", model.head.weight[1], features[0]).relu()
    assert_same(maps.flatten(), by_hand.detach().flatten() / features[0, 0].numel())


def test_maps_are_detached_and_by_hand_they_can_train():
    model, x = seeded(Signal, 1, 2, 30)
    model.features[0] = nn.Conv2d(2, 4, 3)
    back = Then(nn.AdaptiveAvgPool2d(1), lambda pooled: model.head(pooled.flatten(1)))
    x = x.view(1, 2, 5, 6)
    whole = nn.Sequential(model.features, back).eval()
    assert not grad_cam(whole, "0", x, 1).maps.requires_grad
    features = model.features(x)
    (gradient,) = torch.autograd.grad(back(features)[0, 1], features, create_graph=True)
    heat = (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu()
    heat.mean().backward()
    assert model.features[0].weight.grad.any()


ROWS = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| (\d+)x(\d+) \|", TABLES, re.MULTILINE)


@pytest.mark.parametrize(("name", "layer", "rows", "columns"), ROWS)
def test_the_table_of_architectures_names_layers_that_exist(name, layer, rows, columns):
    with torch.device("meta"):
        model, kept = get_model(name, weights=None).eval(), []
        model.get_submodule(layer).register_forward_hook(lambda m, a, output: kept.append(output))
        model(torch.zeros(1, 3, 224, 224))
    (output,) = kept
    if name.startswith("vit"):
        assert output.shape[1] == 1 + int(rows) * int(columns)
    else:
        cells = output.shape[1:3] if name.startswith("swin") else output.shape[2:]
        assert tuple(cells) == (int(rows), int(columns))


def test_the_table_of_architectures_has_the_sources_networks():
    found = {name: layer for name, layer, *_ in ROWS}
    assert found["vgg19"] == "features.35"
    assert found["densenet201"] == "features.norm5"
    assert len(found) == 10
