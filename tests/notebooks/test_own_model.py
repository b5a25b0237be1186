"""The wrappers of notebook 06 as they stand there, and what its table says of `camutils`."""

from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import cv2
import nbformat
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import googlenet, inception_v3
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from camutils import crop_box, data_path, grad_cam, load_classifier, load_image, normalize_map

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOK = nbformat.read(FOLDER / "06_your_own_model.ipynb", 4)


def cell(name):
    return next(c.source for c in NOTEBOOK.cells if c.id == name)


@pytest.fixture(scope="module")
def shown():
    """What the notebook defines, up to the region's score and the transformer."""
    names = {}
    first = ("imports", "broken", "grids", "refusals", "two-logits", "by-hand")
    for name in (*first, "regions-code", "token-grid", "token-check"):
        exec(cell(name), names)
    return SimpleNamespace(**names)


def signed_by_hand(activation, score):
    """The map before the ReLU: the gradient of a score of one picture, pooled."""
    (gradient,) = torch.autograd.grad(score, activation, retain_graph=True)
    return (gradient.mean((2, 3), keepdim=True) * activation).sum(1)[0].detach()


def assert_same(ours, theirs):
    largest = theirs.abs().max().item()
    assert largest > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * largest)


@pytest.mark.parametrize("form", ["(N,)", "(N, 1)"])
def test_a_single_logit_has_a_map_for_and_one_against(shown, form):
    """On a network of several layers, as VGG, with a gradient that differs from cell to cell."""
    vgg, x = shown.vgg.model, shown.x
    columns = 4 if form == "(N,)" else [4]
    activation = vgg.features[:30](x).detach().requires_grad_()
    z = vgg.classifier(vgg.features[30](activation).flatten(1))[0, 4]
    single = shown.Then(vgg, lambda logits: logits[:, columns])
    model = shown.Then(single, shown.two_logits).eval()
    result = grad_cam(model, vgg.features[29], x, [0, 1])
    assert result.logits.shape == (1, 2)
    against, for_it = result.maps[0]
    assert min(against.max(), for_it.max()) > 0
    assert_same(for_it - against, signed_by_hand(activation, z))
    assert_same(for_it, signed_by_hand(activation, z).relu())
    assert not (for_it * against).any()


def test_one_column_is_one_class_and_no_column_is_refused(shown):
    net, x = shown.net, shown.x
    column = shown.Then(net, lambda logits: logits[:, [96]]).eval()
    assert torch.equal(
        grad_cam(column, net.features, x).maps, grad_cam(net, net.features, x, 96).maps
    )
    with pytest.raises(ValueError, match="classes"):
        grad_cam(column, net.features, x, 1)
    vector = shown.Then(net, lambda logits: logits[:, 96]).eval()
    with pytest.raises(ValueError, match="output"):
        grad_cam(vector, net.features, x)


def test_an_object_with_logits(shown):
    net, x = shown.net, shown.x
    packed = shown.Then(net, lambda logits: SimpleNamespace(logits=logits))
    with pytest.raises(TypeError, match=r"output.*SimpleNamespace"):
        grad_cam(packed.eval(), net.features, x, 96)
    ours = grad_cam(shown.Then(packed, attrgetter("logits")).eval(), net.features, x, 96)
    assert torch.equal(ours.maps, grad_cam(net, net.features, x, 96).maps)


@pytest.mark.parametrize("make", [googlenet, inception_v3])
def test_torchvisions_tuples_come_in_train_mode_only(make):
    model = make(weights=None, aux_logits=True, init_weights=False)
    x = torch.zeros(2, 3, 299, 299)
    with torch.no_grad():
        assert isinstance(model.eval()(x), torch.Tensor)
        assert isinstance(model.train()(x), tuple)


def test_a_regions_mean_of_torchvisions_segmentation_network(shown):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
        x = torch.randn(1, 3, 64, 96)
    mask = torch.zeros(64, 96)
    mask[10:40, 20:50] = 1
    model = shown.Then(network, shown.region_mean(mask)).eval()
    layer, kept = network.backbone["16"], []
    with layer.register_forward_hook(lambda module, args, output: kept.append(output)):
        out = network(x)["out"]
    score = out[0, 5][mask > 0].mean()
    result = grad_cam(model, layer, x, 5)
    torch.testing.assert_close(result.logits[0, 5], score.detach())
    (gradient,) = torch.autograd.grad(score, kept[0])
    by_hand = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1).relu()
    assert_same(result.maps[0], by_hand.detach())


@pytest.mark.parametrize("enlarge", [False, True])
def test_at_the_last_grid_the_regions_mean_has_the_map_of_the_whole(shown, enlarge):
    """Also where the logits are enlarged to the picture, as torchvision does."""
    net, x = shown.net, shown.x

    def per_cell(grid):
        out = shown.per_cell(grid)["out"]
        size = (224, 224) if enlarge else (7, 7)
        return {"out": F.interpolate(out, size, mode="bilinear", align_corners=False)}

    model = shown.Then(shown.Then(net.features, per_cell), shown.region_mean(shown.bird)).eval()
    region, whole = (grad_cam(m, net.features, x, 96) for m in (model, net))
    assert region.logits[0, 96] > 2 * whole.logits[0, 96]
    assert_same(region.maps, whole.maps)


def test_token_grid_is_a_map_of_known_cells(shown):
    """A network of tokens whose map is known: CAM / 49 of the embedded one."""
    net, x = shown.net, shown.x
    grid = shown.TokenGrid(columns=7)

    def to_tokens(features):
        return F.pad(features.flatten(2).transpose(1, 2), (0, 0, 1, 0))

    head = shown.Then(grid, lambda tokens: net.classifier(tokens[:, 1:].mean(1)))
    model = nn.Sequential(shown.Then(net.features, to_tokens), head).eval()
    assert_same(grad_cam(model, grid.grid, x, 96).maps, grad_cam(net, net.features, x, 96).maps)


def test_which_layers_of_a_transformer_have_a_gradient(shown):
    vit, x, blocks = shown.vit, shown.x, shown.blocks
    peaks = [grad_cam(vit, block[1].grid, x, 3).maps.max() for block in blocks]
    assert peaks[0] > 0
    assert peaks[1] > 0
    assert peaks[2] == 0
    last = blocks[2][0]
    with pytest.raises(TypeError, match="tuple"):
        grad_cam(vit, blocks[1][0].self_attention, x, 3)
    norm, last.ln_1 = last.ln_1, nn.Sequential(last.ln_1, shown.TokenGrid(14)).eval()
    try:
        assert grad_cam(vit, last.ln_1[1].grid, x, 3).maps.max() > 0
    finally:
        last.ln_1 = norm
    tokens = torch.randn(1, 197, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    averaged = vit.heads(vit.encoder.ln(tokens)[:, 1:].mean(1))
    assert torch.autograd.grad(averaged[0, 3], tokens)[0][:, 1:].any()


def test_an_untrained_transformer_of_torchvision_has_no_gradient_at_all(shown):
    fresh = shown.VisionTransformer(
        image_size=32, patch_size=16, num_layers=1, num_heads=1, hidden_dim=4, mlp_dim=4
    )
    assert not fresh.heads.head.weight.any()


def test_what_the_table_says(shown):
    net, x = shown.net, shown.x
    frozen = load_classifier("efficientnet_lite0").model.requires_grad_(False)
    with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad"):  # Row 2.
        frozen(x).max().backward()
    red_of_bgr = cv2.applyColorMap(np.full((1, 1), 255, np.uint8), cv2.COLORMAP_JET)[0, 0]
    assert red_of_bgr.tolist() == [0, 0, 128]  # Row 7: hot is red only if read as BGR.
    photo = load_image(data_path("photos", "animal", "toucan.webp"))
    heat = normalize_map(grad_cam(net, net.features, x, 96).maps[0, 0])
    right, swapped = crop_box(heat, photo.size), crop_box(heat, photo.size[::-1])
    assert right != swapped  # Row 8.
    assert not normalize_map(torch.zeros(7, 7)).any()  # Row 10.
    with pytest.raises(ValueError, match="train mode"):  # Row 11.
        grad_cam(shown.Then(net, shown.two_logits), net.features, x)
    with pytest.raises(ValueError, match=r"\(1, 197, 64\)"):  # Row 12.
        grad_cam(shown.vit, shown.blocks[1][0], x)


def test_the_grids_are_found_and_no_hook_is_left(shown):
    found = shown.last_of_each_grid(shown.lite.model, shown.x)
    assert found[7, 7] == ("features", 1280)
    assert shown.last_of_each_grid(shown.vgg.model, shown.x)[14, 14] == ("features.29", 512)
    assert not torch.nn.modules.module._global_forward_hooks
