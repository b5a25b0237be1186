"""DenseNet201 itself, untrained, with and without its last ReLU; and what notebook 03 shows."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest
import torch
from PIL import Image

from camutils import data_path, grad_cam, load_classifier, load_image
from course import credits, figures
from course.published import without_relu

FOLDER = Path(__file__).parents[2] / "notebooks"
NAME = "03_gradcam_densenet201_iguanas.ipynb"


@pytest.fixture(scope="module")
def densenet():
    return load_classifier("densenet201", weights="random")


@pytest.fixture(scope="module")
def x(densenet):
    pictures = [load_image(data_path("scenes", f"{n}.webp")) for n in ("lizard", "dragon")]
    return torch.stack([densenet.preprocess(picture) for picture in pictures])


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


def test_torchvision_has_a_relu_before_the_mean_that_the_articles_text_does_not_name(densenet, x):
    with torch.inference_mode():
        activation = densenet.model.features(x)
        theirs = densenet.model(x)
        ours = without_relu(densenet).model(x)
        with_relu = densenet.model.classifier(activation.relu().mean((2, 3)))
        assert torch.allclose(theirs, with_relu, atol=1e-4)
        assert torch.allclose(ours, densenet.model.classifier(activation.mean((2, 3))), atol=1e-5)
        assert (ours - theirs).abs().max() > 0.1


def test_the_maps_follow_the_formulas_of_the_notebook(densenet, x):
    with torch.no_grad():
        activation = densenet.model.features(x)
    weight = densenet.model.classifier.weight.detach()[260] / 49
    positive = (activation > 0).float().mean((2, 3))
    article = torch.einsum("k,nkhw->nhw", weight, activation).relu()
    torchvision = torch.einsum("nk,nkhw->nhw", weight * positive, activation).relu()
    wrapped = without_relu(densenet).model
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


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder of our own; `data(name, ...)` copies files and folders into it."""
    ours = data_path()
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))

    def copy(*names):
        for name in names:
            source = ours.joinpath(*name.split("/"))
            target = tmp_path.joinpath(*name.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)
        return tmp_path

    return copy


def test_notebook_03_runs_on_densenet201(data, run_shorter):
    """On four of the photographs and one of the places; on all it would take minutes."""
    photographs = [f"photos/animal/{name}.webp" for name in ("pig", "gorilla")]
    photographs += ["scenes/dragon.webp", "unseen/scarlet_macaw.webp"]
    folder = data("scenes", "masks", "published.json", "ATTRIBUTION.csv", *photographs)
    strokes = folder / "masks" / "strokes.json"
    drawings = json.loads(strokes.read_text("utf-8"))
    drawings["photographs"] = {name: drawings["photographs"][name] for name in photographs}
    strokes.write_text(json.dumps(drawings), "utf-8")
    notebook = run_shorter(
        FOLDER / NAME,
        {
            "for j in range(3) for i in range(5)]": "for j in [1] for i in [2]]",
            "for dy in (-24, 0, 24) for dx in range(-48, 17, 16)]": "for dy in [0] for dx in [0]]",
        },
    )
    (cell,) = (cell for cell in notebook.cells if cell.id == "network")
    assert "densenet201 with random weights" in cell.outputs[0].text


@pytest.fixture
def iguana(data, monkeypatch):
    """The path of a photograph where a reader has the iguana."""
    path = data("published.json", "ATTRIBUTION.csv") / "originals" / "iguana.jpg"
    path.parent.mkdir()
    Image.radial_gradient("L").convert("RGB").save(path)
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "auto")
    return path


def test_who_has_the_iguana_sees_it_beside_the_printed_lists(iguana, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(figures, "display", lambda what, **options: shown.append(what))
    cells = {cell.id: cell.source for cell in nbformat.read(FOLDER / NAME, 4).cells}
    notebook = {}
    for name in ("imports", "network", "lizard", "odds", "iguana-figure"):
        exec(cells[name], notebook)
    printed = capsys.readouterr().out
    assert "American_alligator 14.08 chain_saw 13.87 tench 13.02" in printed
    assert "common_iguana 13.84 tailed_frog 11.90 banded_gecko 10.64" in printed
    first, *_ = notebook["classifier"].predict(load_image(iguana))
    assert f"{first.label} {first.logit:.2f}" in printed
    picture, caption = shown
    assert "image/jpeg" in picture
    assert credits.NOT_OURS in caption.data


def test_the_committed_notebook_holds_no_iguana():
    notebook = nbformat.read(FOLDER / NAME, 4)
    (cell,) = (cell for cell in notebook.cells if cell.id == "iguana-figure")
    (output,) = cell.outputs
    assert "python -m camutils.download iguana" in output.text
