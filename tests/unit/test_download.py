"""Downloads that break in every way leave nothing behind; the next is as good as a first."""

import contextlib
import hashlib
import http.server
import io
import multiprocessing
import re
import threading
import time
import warnings
from http.client import HTTPException

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from camutils import ImageError, WeightsError, download, load_classifier
from camutils.models import download_weights

pytestmark = pytest.mark.filterwarnings("error")
SQUEEZENET = models.SqueezeNet1_1_Weights.DEFAULT


class Server(http.server.ThreadingHTTPServer):
    """Gives `content`, in the way that `manner` says; `half_sent` is set when half of it is out."""

    content, manner, requests, agent = b"", "whole", 0, None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.half_sent, self.go_on = threading.Event(), threading.Event()

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests += 1
        server.agent = self.headers["User-Agent"]
        if server.manner == "gibberish":
            self.wfile.write(b"welcome to the hotel's network\r\n\r\n")
            return
        if server.manner == "missing":
            self.send_error(404)
            return
        body = bytes(len(server.content)) if server.manner == "wrong" else server.content
        self.send_response(200)
        if server.manner != "unannounced":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            server.half_sent.set()
            if server.manner == "stalls":
                server.go_on.wait(30)
            elif server.manner not in ("breaks", "unannounced"):
                self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The empty checkpoint folder of a torch hub cache of our own."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture(scope="session")
def checkpoint(classifier):
    buffer = io.BytesIO()
    torch.save(classifier("squeezenet1_1").model.state_dict(), buffer)
    return buffer.getvalue()


@pytest.fixture
def squeezenet(server, checkpoint, monkeypatch):
    """torchvision's ResNet-18, published on the server; gives the name of the file."""
    name = f"squeezenet1_1-{hashlib.sha256(checkpoint).hexdigest()[:8]}.pth"
    server.content = checkpoint
    monkeypatch.setattr(SQUEEZENET.value, "url", server.url(name))
    return name


def test_a_download_comes_whole_and_only_once(server, folder, squeezenet, checkpoint, classifier):
    network = load_classifier("squeezenet1_1", "pretrained")
    assert network.name == "squeezenet1_1"
    expected = classifier("squeezenet1_1").model.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in network.model.state_dict().items())
    assert [path.name for path in folder.iterdir()] == [squeezenet]
    assert (folder / squeezenet).read_bytes() == checkpoint
    assert download_weights(SQUEEZENET) == folder / squeezenet
    assert load_classifier("squeezenet1_1", "auto").name == "squeezenet1_1"
    assert server.requests == 1


@pytest.mark.parametrize("manner", ["breaks", "unannounced", "wrong", "gibberish", "missing"])
def test_a_broken_download_leaves_nothing_behind(server, folder, squeezenet, checkpoint, manner):
    server.manner = manner
    with pytest.raises(WeightsError, match=r"http.*squeezenet1_1.* was not downloaded"):
        load_classifier("squeezenet1_1", "pretrained")
    assert list(folder.glob("*")) == []
    server.manner = "whole"
    assert download_weights(SQUEEZENET).read_bytes() == checkpoint
    assert [path.name for path in folder.iterdir()] == [squeezenet]


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork"
)
def test_after_a_kill_in_the_middle_the_next_run_is_as_good_as_a_first(
    server, folder, squeezenet, checkpoint
):
    server.manner = "stalls"
    child = multiprocessing.get_context("fork").Process(target=download_weights, args=[SQUEEZENET])
    with warnings.catch_warnings(action="ignore"):  # The child needs none of our threads.
        child.start()
    assert server.half_sent.wait(30)
    deadline = time.monotonic() + 30
    while not list(folder.glob("*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    child.join()
    assert child.exitcode == -9
    assert not (folder / squeezenet).exists()
    server.manner = "whole"
    with pytest.raises(WeightsError, match=r"'squeezenet1_1'.*camutils.download squeezenet1_1"):
        load_classifier("squeezenet1_1", "auto")
    assert load_classifier("squeezenet1_1", "pretrained").name == "squeezenet1_1"
    assert (folder / squeezenet).read_bytes() == checkpoint


def test_an_interrupt_in_the_middle_leaves_nothing_behind(server, folder, squeezenet, monkeypatch):
    class Interrupted(io.BufferedWriter):
        def write(self, content):
            super().write(content[:1000])
            raise KeyboardInterrupt

    monkeypatch.setattr("torch.hub.open", lambda *a: Interrupted(io.FileIO(*a)), raising=False)
    with pytest.raises(KeyboardInterrupt):
        download_weights(SQUEEZENET)
    assert list(folder.glob("*")) == []


def test_overlapping_downloads_do_not_meet(server, folder, squeezenet, in_threads):
    paths = in_threads(4, lambda: download_weights(SQUEEZENET))
    assert paths == [folder / squeezenet] * 4
    assert [path.name for path in folder.iterdir()] == [squeezenet]


def test_a_refused_connection_says_what_to_do(folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "pretrained")
    message = r"https://.*squeezenet1_1-.*refused"
    for weights in ("pretrained", None):
        with pytest.raises(WeightsError, match=message):
            load_classifier("squeezenet1_1", weights, stand_in="efficientnet_lite0")
    assert list(folder.glob("*")) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path, squeezenet, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"squeezenet1_1.* was not downloaded.*file"):
        download_weights(SQUEEZENET)


@pytest.fixture
def originals(server, tmp_path, monkeypatch):
    """A data folder of our own, whose photographs are one that is published on the server."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG")
    server.content = buffer.getvalue()
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    digest = hashlib.sha256(server.content).hexdigest()
    for name, (file, _, sha256) in download.ORIGINALS.items():
        pinned = sha256 and digest  # Of the elephants no digest is known.
        monkeypatch.setitem(download.ORIGINALS, name, (file, server.url(file), pinned))
    return tmp_path / "originals"


@pytest.mark.parametrize("name", ["iguana", "iguana2"])
def test_a_photograph_with_a_known_digest_is_that_one_or_none(server, originals, capsys, name):
    whole = server.content
    server.content += b"one byte more, and still a picture"
    with pytest.raises(WeightsError, match="SHA-256"):
        download.download_original(name)
    assert list(originals.glob("*")) == []
    server.content = whole
    assert download.main([name]) == 0
    assert (originals / f"{name}.jpg").read_bytes() == whole


def test_the_digests_of_the_iguanas_are_pinned():
    assert {name: sha256 for name, (_, _, sha256) in download.ORIGINALS.items()} == {
        "elephants": None,
        "iguana": "1aa2f05e7ea50ce68cda9a2a510f3c6c1eda1ee6ee81d21ed38917d8e6b4a404",
        "iguana2": "9f5f220e5fe6bbabbd57b25c9333b6c15a8711abbf6e57e4dbcc81a9949a309e",
    }


def test_the_books_photograph_is_fetched_once(server, originals, capsys):
    assert download.main(["elephants"]) == 0
    assert capsys.readouterr().out == f"elephants: {originals / 'elephants.jpg'}\n"
    assert (originals / "elephants.jpg").read_bytes() == server.content
    assert download.main(["elephants"]) == 0
    assert server.requests == 1


@pytest.mark.parametrize("manner", ["breaks", "unannounced", "wrong", "gibberish", "missing"])
def test_a_photograph_that_does_not_come_whole_leaves_nothing_behind(
    server, originals, capsys, manner
):
    server.manner = manner
    expected = {"gibberish": HTTPException, "missing": OSError}.get(manner, ImageError)
    with pytest.raises(expected):
        download.download_original("elephants")
    assert download.main(["elephants"]) == 1
    assert re.match("elephants failed: .", capsys.readouterr().out)
    assert list(originals.glob("*")) == []
    server.manner = "whole"
    assert download.main(["elephants"]) == 0
    assert [path.name for path in originals.iterdir()] == ["elephants.jpg"]


def test_the_command_goes_on_after_a_failure_and_says_so(server, folder, squeezenet, capsys):
    assert download.main(["vgg91", "vit_b_16", "squeezenet1_1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("vgg91 failed: ")
    assert lines[1].startswith("vit_b_16 failed: ")
    assert lines[2] == f"squeezenet1_1: {folder / squeezenet}"
