"""What the articles printed, measured: `pytest tests/notebooks/test_published.py --pretrained`.

With the option: the real networks, the elephants and the iguanas, fetched where they are missing.
(Without `-n`, which swallows the figures that are printed.) Without it: the same code, with small
untrained networks whose checkpoints, pictures and published answers are made up here.
"""

import functools
import hashlib
import http.server
import json
import threading
from pathlib import Path

import nbformat
import pytest
import torch
from PIL import Image
from torchvision import models

from camutils import ImageError, data_path, download, load_classifier, load_image
from camutils.models import WeightsError
from course.kernels import run_notebook
from course.published import compare_published, fit_crop, original, reproduce, without_relu

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
EXECUTED = ROOT / "build" / "published"
NETWORK = "squeezenet1_1"
NETWORKS = {"elephants": NETWORK, "iguana": "densenet121"}  # That are made up for a case.


@pytest.fixture
def pretrained(request, monkeypatch):
    """Lets a test run on the real networks, where asked for."""
    if not request.config.getoption("--pretrained"):
        command = "pytest tests/notebooks/test_published.py --pretrained"
        pytest.skip(f"the real networks have to be fetched (625 MB): {command}")
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "pretrained")


def assert_the_published_order(case):
    """Print published, measured and difference; fail unless the classes come in their order.

    The logits may differ: how far, `course.published.CLOSE` proposes.
    """
    (found,) = reproduce(case)
    print_record(found)
    assert found.is_in_order(), f"other answers than the published ones:\n{found}"


def print_record(found):
    print(f"\n\n{found}\n\nTo keep it (.github/CONTRIBUTING.md says how), put into published.json:")
    print(f'      "measured": {json.dumps(found.record())}')


def measure_the_iguana(steps=6):
    """Print whether the article's iguana answers as printed, with torchvision's ReLU and without.

    That it is the article's picture is an inference, so that no answer is a failure.
    """
    both = reproduce("iguana")
    for found in both:
        print_record(found)
    nearest = min(both, key=lambda found: max(map(abs, found.differences())))
    network = load_classifier(nearest.network)
    if nearest.variant:
        network = without_relu(network)
    box, logits, tried = fit_crop("iguana cropped", network, load_image(nearest.picture), steps)
    told = ", ".join(f"{logit:.2f}" for logit in logits)
    print(f"\nThe printed logits of the crop come nearest in the box {box}: {told}.")
    print(f"This is a fit, the best of {tried} boxes: the article's box was never published.")
    second = network.predict(load_image(download.download_original("iguana2")))
    told = ", ".join(f"{answer.label} {answer.logit:.2f}" for answer in second)
    print(f"The second iguana, which the article calls classified correctly: {told}.")


def measure_the_stand_in():
    """Print what notebook 02's stand-in says of the book's photograph, which it has never seen."""
    found = load_classifier("vgg16_animals").predict(
        load_image(download.download_original("elephants"))
    )
    told = ", ".join(f"{a.label} {a.probability:.2f} (logit {a.logit:.2f})" for a in found)
    print(f"\nvgg16_animals on the book's photograph of the elephants: {told}.")
    return found[0].label


def run(path, executed):
    """Execute a notebook and write it to a folder; gives what its cells print."""
    notebook = run_notebook(path, "pretrained")
    executed.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, executed / path.name)
    return "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))


def assert_the_real_one_answered(printed, network):
    """Fail if a notebook ran on another network, or on one without its weights."""
    assert f"{network} with torchvision's" in printed
    assert "answers instead" not in printed


def assert_measured(printed):
    """Fail unless a notebook compared its answers with the published ones."""
    assert "published, measured" in printed
    assert "not measured" not in printed


def test_the_elephants_come_in_the_published_order(pretrained, capsys):
    with capsys.disabled():
        assert_the_published_order("elephants")


def test_the_iguana_is_measured(pretrained, capsys):
    with capsys.disabled():
        measure_the_iguana()


def test_the_stand_in_knows_the_books_photograph(pretrained, capsys):
    with capsys.disabled():
        assert measure_the_stand_in() == "African_elephant"


def test_notebook_02_runs_on_vgg19_and_the_photograph(pretrained, capsys):
    download.download_original("elephants")
    path = FOLDER / "02_gradcam_vgg19_elephants.ipynb"
    printed = run(path, EXECUTED)
    with capsys.disabled():
        print(f"\n\nAre heads and ears hot? Look at {EXECUTED / path.name}")
    assert_the_real_one_answered(printed, "vgg19")
    assert_measured(printed)


def test_notebook_03_runs_on_densenet201_and_the_iguana(pretrained):
    download.download_original("iguana")
    printed = run(FOLDER / "03_gradcam_densenet201_iguanas.ipynb", EXECUTED)
    assert_the_real_one_answered(printed, "densenet201")
    assert "published, measured" in printed


@functools.cache
def untrained(name):
    return load_classifier(name, "random")


@pytest.fixture
def case(request):
    """The published case that is made up, the elephants unless a test asks for another."""
    return getattr(request, "param", "elephants")


@pytest.fixture
def made_up(case, tmp_path, monkeypatch):
    """A small network and pictures on a server of our own; gives the folder that is published."""
    shelf = tmp_path / "shelf"
    for folder in (shelf, tmp_path / "data"):
        folder.mkdir()
    name = NETWORKS[case]
    torch.save(untrained(name).model.state_dict(), shelf / "content")
    digest = hashlib.sha256((shelf / "content").read_bytes()).hexdigest()
    weights = (shelf / "content").rename(shelf / f"{name}-{digest[:8]}.pth")
    Image.radial_gradient("L").convert("RGB").save(shelf / "picture.jpg")
    sha256 = hashlib.sha256((shelf / "picture.jpg").read_bytes()).hexdigest()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=shelf)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        enum = models.get_model_weights(name).DEFAULT
        monkeypatch.setattr(enum.value, "url", f"{address}/{weights.name}")
        for original in (case, "iguana2"):
            made = (f"{original}.jpg", f"{address}/picture.jpg", sha256)
            monkeypatch.setitem(download.ORIGINALS, original, made)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("CAMUTILS_WEIGHTS", "pretrained")
        yield shelf
        server.shutdown()
        thread.join()


@pytest.fixture
def publish(case, made_up, tmp_path):
    """`publish(ranks, shift)`: a network's answers of these ranks as printed, logits shifted."""

    def publish(ranks, shift=0.0, network=None):
        network = network or untrained(NETWORKS[case])
        with Image.open(made_up / "picture.jpg") as picture:
            answers = network.predict(picture, k=10)
        top = [[answers[i].wnid, answers[i].label, answers[i].logit + shift] for i in ranks]
        one = {"network": NETWORKS[case], "top": top}
        written = json.dumps({"cases": {case: one, f"{case} cropped": one}})
        (tmp_path / "data" / "published.json").write_text(written, "utf-8")

    return publish


def test_the_right_order_passes_and_all_three_figures_are_printed(publish, tmp_path, capsys):
    publish([0, 1, 2], shift=-0.25)
    assert not (tmp_path / "torch").exists()
    assert_the_published_order("elephants")
    assert (tmp_path / "data" / "originals" / "elephants.jpg").is_file()
    assert [path.stem[:-9] for path in tmp_path.glob("torch/hub/checkpoints/*")] == [NETWORK]
    (found,) = reproduce("elephants")
    printed = capsys.readouterr().out
    assert str(found) in printed
    record = json.loads(printed.rpartition('"measured": ')[2])
    assert record == found.record()
    assert record["ranks"] == [1, 2, 3]
    assert record["logits"] == pytest.approx([a.logit for a in found.measured[:3]], abs=1e-5)
    photo = (tmp_path / "data" / "originals" / "elephants.jpg").read_bytes()
    assert record["picture_sha256"] == hashlib.sha256(photo).hexdigest()
    assert record["differences"] == pytest.approx([0.25] * 3, abs=1e-5)
    assert f"{NETWORK}-" in record["weights"]
    title, head, *rows, verdict = str(found).splitlines()
    assert "fits" in verdict
    assert "0.25" in verdict
    assert title == f"elephants, {NETWORK}"
    assert head.split() == ["published", "measured", "difference", "rank"]
    for rank, (row, answer) in enumerate(zip(rows, found.measured, strict=False), start=1):
        wnid, label, published, measured, difference, place = row.split()
        assert (wnid, label, int(place)) == (answer.wnid, answer.label, rank)
        assert float(measured) == pytest.approx(answer.logit, abs=1e-4)
        assert float(published) == pytest.approx(answer.logit - 0.25, abs=1e-4)
        assert difference == "+0.2500"


@pytest.mark.parametrize("ranks", [[1, 0, 2], [0, 2, 1], [0, 1, 3], [5, 6, 7]])
def test_another_order_fails_and_says_what_came(publish, ranks):
    publish(ranks)
    with pytest.raises(
        AssertionError, match=r"other answers(.*\n)+.*\+0\.0000 +" + str(ranks[0] + 1)
    ):
        assert_the_published_order("elephants")


def test_a_checkpoint_that_is_not_the_published_one_fails(publish, made_up):
    publish([0, 1, 2])
    (weights,) = made_up.glob("*.pth")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="SHA-256"):
        assert_the_published_order("elephants")


def test_a_picture_without_an_address_and_an_unknown_case_are_refused():
    with pytest.raises(ValueError, match="case is 'cat'"):
        reproduce("cat")
    with pytest.raises(ValueError, match=r"case is 'zebra'.+elephants"):
        reproduce("zebra")


@pytest.mark.parametrize("case", ["iguana"], indirect=True)
def test_the_iguanas_fingerprint_fits_the_network_that_it_was_made_with(publish, made_up, capsys):
    publish([0, 1, 2], network=without_relu(untrained("densenet121")))
    measure_the_iguana(steps=3)
    printed = capsys.readouterr().out
    with_it, without_it = printed.split("iguana, densenet121")[1:]
    assert "does not fit" in with_it
    assert "fingerprint fits" in without_it
    assert "the best of 9 boxes" in without_it
    assert "second iguana" in without_it
    (made_up / "picture.jpg").write_bytes(b"another picture")
    for path in data_path("originals").iterdir():
        path.unlink()
    with pytest.raises((WeightsError, ImageError)):
        reproduce("iguana")


def test_the_stand_in_is_asked_about_the_photograph_that_is_fetched(made_up, capsys):
    data_path("weights").symlink_to(ROOT / "data" / "weights")
    label = measure_the_stand_in()
    assert data_path("originals", "elephants.jpg").is_file()
    with Image.open(made_up / "picture.jpg") as picture:
        first, *_ = load_classifier("vgg16_animals").predict(picture)
    assert label == first.label
    assert f"{first.label} {first.probability:.2f} (logit {first.logit:.2f})" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(("shift", "words"), [(0.5, "to within 0.50"), (4, "up to 4.00")])
def test_logits_that_no_preprocessing_explains_are_told_apart(publish, shift, words):
    publish([0, 1, 2], shift)
    (found,) = reproduce("elephants")
    assert found.is_in_order()
    assert words in found.verdict()


def test_a_search_for_the_box_finds_the_one_that_the_logits_were_made_with(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    image = Image.radial_gradient("L").convert("RGB").resize((320, 240))
    box = (80, 60, 240, 240)
    network = untrained(NETWORK)
    top = [[a.wnid, a.label, a.logit] for a in network.predict(image.crop(box))]
    written = json.dumps({"cases": {"iguana cropped": {"network": NETWORK, "top": top}}})
    (tmp_path / "published.json").write_text(written, "utf-8")
    found, logits, tried = fit_crop("iguana cropped", network, image, steps=4)
    assert found == box
    assert logits == pytest.approx([row[2] for row in top], abs=1e-4)
    assert tried == 36


def test_an_original_is_the_readers_alone(tmp_path, monkeypatch):
    (tmp_path / "originals").mkdir()
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "auto")
    assert original("iguana") is None
    (tmp_path / "originals" / "iguana.jpg").touch()
    assert original("iguana") == tmp_path.resolve() / "originals" / "iguana.jpg"
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "embedded")
    assert original("iguana") is None


NOTEBOOK = """
from torchvision import models
from camutils import load_classifier
from course.published import compare_published
models.SqueezeNet1_1_Weights.DEFAULT.value.url = "{url}"  # As in the test itself.
classifier = load_classifier("squeezenet1_1", stand_in="efficientnet_lite0")
print(classifier.provenance)
print(compare_published("elephants", classifier))
"""


def test_a_notebook_gets_the_real_network_and_prints_what_it_measures(publish, tmp_path):
    publish([0, 1, 2])
    reproduce("elephants")  # Fetches both.
    path = tmp_path / "notebook.ipynb"
    url = models.get_model_weights(NETWORK).DEFAULT.url
    cells = [nbformat.v4.new_code_cell(NOTEBOOK.format(url=url))]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    printed = run(path, tmp_path / "executed")
    assert_the_real_one_answered(printed, NETWORK)
    assert_measured(printed)
    assert compare_published("elephants", load_classifier(NETWORK)) in printed
    assert nbformat.read(tmp_path / "executed" / path.name, 4).cells[0].outputs
    (tmp_path / "data" / "originals" / "elephants.jpg").unlink()  # Fails on the composite.
    with pytest.raises(AssertionError):
        assert_measured(compare_published("elephants", load_classifier(NETWORK)))


@pytest.mark.parametrize(
    ("name", "weights"), [(NETWORK, "random"), ("efficientnet_lite0", "embedded")]
)
def test_an_untrained_network_and_another_one_are_not_compared(publish, name, weights):
    publish([0, 1, 2], shift=100)  # So that no measured logit looks like a published one.
    measured = reproduce("elephants")[0].measured[0]  # Fetches the picture.
    told = compare_published("elephants", load_classifier(name, weights))
    assert f"{measured.logit + 100:.2f}" in told
    assert f" {measured.logit:.2f}" not in told
    with pytest.raises(AssertionError):
        assert_measured(told)
