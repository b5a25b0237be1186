"""What the articles printed, measured: `pytest tests/notebooks/test_published.py --pretrained`.

With the option: the real networks and the elephants, fetched where they are missing. (Without `-n`,
which swallows the figures that are printed.) Without it: the same code, with a small untrained
network whose checkpoint, picture and published answers are made up here.
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

from camutils import download, load_classifier
from camutils.models import WeightsError
from course.kernels import run_notebook
from course.published import compare_published, reproduce

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
EXECUTED = ROOT / "build" / "published"
NETWORK = "squeezenet1_1"


@pytest.fixture
def pretrained(request, monkeypatch):
    """Lets a test run on the real networks, where asked for."""
    if not request.config.getoption("--pretrained"):
        command = "pytest tests/notebooks/test_published.py --pretrained"
        pytest.skip(f"the real networks have to be fetched (625 MB): {command}")
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "pretrained")


def assert_the_published_order(case):
    """Print published, measured and difference; fail unless the classes come in their order.

    The logits are not compared: nobody has measured how far they may lie apart.
    """
    found = reproduce(case)
    record = json.dumps(found.record())
    print(f"\n\n{found}\n\nTo keep it (.github/CONTRIBUTING.md says how), put into published.json:")
    print(f'      "measured": {record}')
    assert found.is_in_order(), f"other answers than the published ones:\n{found}"


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


def test_notebook_02_runs_on_vgg19_and_the_photograph(pretrained, capsys):
    download.download_original("elephants")
    path = FOLDER / "02_gradcam_vgg19_elephants.ipynb"
    printed = run(path, EXECUTED)
    with capsys.disabled():
        print(f"\n\nAre heads and ears hot? Look at {EXECUTED / path.name}")
    assert_the_real_one_answered(printed, "vgg19")
    assert_measured(printed)


def test_notebook_03_runs_on_densenet201(pretrained):
    printed = run(FOLDER / "03_gradcam_densenet201_iguanas.ipynb", EXECUTED)
    assert_the_real_one_answered(printed, "densenet201")


@pytest.fixture(scope="module")
def network():
    return load_classifier(NETWORK, "random")


@pytest.fixture
def made_up(network, tmp_path, monkeypatch):
    """A small network and a picture on a server of our own; gives the folder that is published."""
    shelf = tmp_path / "shelf"
    for folder in (shelf, tmp_path / "data"):
        folder.mkdir()
    torch.save(network.model.state_dict(), shelf / "content")
    digest = hashlib.sha256((shelf / "content").read_bytes()).hexdigest()
    weights = (shelf / "content").rename(shelf / f"{NETWORK}-{digest[:8]}.pth")
    Image.radial_gradient("L").convert("RGB").save(shelf / "elephant.jpg")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=shelf)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        enum = models.get_model_weights(NETWORK).DEFAULT
        monkeypatch.setattr(enum.value, "url", f"{address}/{weights.name}")
        monkeypatch.setitem(download.ORIGINALS, "elephants", f"{address}/elephant.jpg")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("CAMUTILS_WEIGHTS", "pretrained")
        yield shelf
        server.shutdown()
        thread.join()


@pytest.fixture
def publish(network, made_up, tmp_path):
    """`publish(ranks, shift)`: the answers of these ranks as published, their logits shifted."""
    with Image.open(made_up / "elephant.jpg") as picture:
        answers = network.predict(picture, k=10)

    def publish(ranks, shift=0.0):
        top = [[answers[i].wnid, answers[i].label, answers[i].logit + shift] for i in ranks]
        case = {"network": NETWORK, "picture": "elephants.jpg", "top": top}
        written = json.dumps({"cases": {"elephants": case}})
        (tmp_path / "data" / "published.json").write_text(written, "utf-8")

    return publish


def test_the_right_order_passes_and_all_three_figures_are_printed(publish, tmp_path, capsys):
    publish([0, 1, 2], shift=-0.25)
    assert not (tmp_path / "torch").exists()
    assert_the_published_order("elephants")
    assert (tmp_path / "data" / "originals" / "elephants.jpg").is_file()
    assert [path.stem[:-9] for path in tmp_path.glob("torch/hub/checkpoints/*")] == [NETWORK]
    found = reproduce("elephants")
    printed = capsys.readouterr().out
    assert str(found) in printed
    record = json.loads(printed.rpartition('"measured": ')[2])
    assert record == found.record()
    assert record["ranks"] == [1, 2, 3]
    assert record["logits"] == pytest.approx([a.logit for a in found.measured[:3]], abs=1e-5)
    photo = (tmp_path / "data" / "originals" / "elephants.jpg").read_bytes()
    assert record["picture_sha256"] == hashlib.sha256(photo).hexdigest()
    title, head, *rows = str(found).splitlines()
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
    with pytest.raises(WeightsError, match="its SHA-256 begins with"):
        assert_the_published_order("elephants")


def test_a_picture_without_an_address_and_an_unknown_case_are_refused():
    with pytest.raises(ValueError, match=r"^case: got 'iguana', whose picture was never"):
        reproduce("iguana")
    with pytest.raises(ValueError, match=r"^case: got 'zebra', expected one of elephants, "):
        reproduce("zebra")


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
    measured = reproduce("elephants").measured[0]  # Fetches the picture.
    told = compare_published("elephants", load_classifier(name, weights))
    assert f"{measured.logit + 100:.2f}" in told
    assert f" {measured.logit:.2f}" not in told
    with pytest.raises(AssertionError):
        assert_measured(told)
