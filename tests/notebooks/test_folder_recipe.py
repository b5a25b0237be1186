"""The script for a whole folder: right, resumable, never half a file, and in two parts."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camutils import data_path, grad_cam, load_classifier, load_image

SCRIPT = Path(__file__).parents[2] / "notebooks" / "maps_of_a_folder.py"

# Stands in for a power cut: half of the fifth file is written, then the process is gone.
POWER_CUT = """
import os, runpy, signal, sys
import numpy as np
whole, calls = np.savez, []
def savez(file, **arrays):
    calls.append(file)
    if len(calls) == 5:
        file.write_bytes(b"PK half a file")
        os.kill(os.getpid(), signal.SIGKILL)
    whole(file, **arrays)
np.savez = savez
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for folder in ("animal", "tool"):
        (root / folder).mkdir()
        for i, path in enumerate(sorted(data_path("photos", folder).glob("*.*"))[:6]):
            small = load_image(path)
            small.thumbnail((160, 160))
            # Two pictures may differ in their ending only: both need a map.
            small.save(root / folder / (f"{i // 2}.png" if i % 2 else f"{i // 2}.jpg"))
    return root


@pytest.fixture(scope="module")
def expected(pictures):
    """What grad_cam gives for each picture by itself."""
    classifier = load_classifier("efficientnet_lite0", "embedded")
    found = {}
    for path in sorted(pictures.rglob("*.*")):
        x = classifier.preprocess(load_image(path))[None]
        result = grad_cam(classifier.model, classifier.target_layer, x)
        index = result.classes.item()
        logit = result.logits[0, index].item()
        found[path.relative_to(pictures).as_posix()] = (result.maps[0, 0].numpy(), index, logit)
    return found


def run(pictures, maps, monkeypatch):
    """Run the script and give its exit code."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(pictures), str(maps)])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return left.value.code


def written(maps):
    """The finished files; a process that was killed may leave a hidden folder behind."""
    files = (path for path in maps.rglob("*") if path.is_file())
    return sorted(p for p in files if not any(part[0] == "." for part in p.relative_to(maps).parts))


def check(maps, expected):
    maps = maps / "efficientnet_lite0"  # Which stands in for the network that was asked for.
    names = [path.relative_to(maps).as_posix() for path in written(maps)]
    assert names == sorted(f"{name}.npz" for name in expected)
    for name, (heatmap, index, logit) in expected.items():
        with np.load(maps / f"{name}.npz") as got:
            assert got["index"] == index, name
            assert got["logit"] == pytest.approx(logit, rel=1e-4), name
            np.testing.assert_allclose(got["map"], heatmap, atol=1e-4 * heatmap.max(), rtol=1e-4)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_killed_in_the_middle_it_goes_on_where_it_stopped_and_then_has_nothing_to_do(
    pictures, expected, tmp_path, monkeypatch, capsys
):
    maps = tmp_path / "maps"
    command = [sys.executable, "-c", POWER_CUT, str(SCRIPT), str(pictures), str(maps)]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == -9
    before = {path: path.stat().st_mtime_ns for path in written(maps)}
    assert len(before) == 4
    for path in before:
        with np.load(path) as got:
            assert set(got.files) == {"map", "index", "logit"}

    assert run(pictures, maps, monkeypatch) == 0
    check(maps, expected)  # Nothing is left of the half file either.
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert "1/1" in capsys.readouterr().err  # A bar: eight pictures are missing, one batch.

    times = {path: path.stat().st_mtime_ns for path in written(maps)}
    monkeypatch.setattr("camutils.grad_cam", None)  # Any work would raise.
    run(pictures, maps, monkeypatch)
    assert times == {path: path.stat().st_mtime_ns for path in written(maps)}


def test_a_file_that_is_no_picture_is_named_before_anything_is_written(tmp_path, monkeypatch):
    root, maps = tmp_path / "pictures", tmp_path / "maps"
    for folder in ("a", "b"):
        (root / folder).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / folder / "good.png")
    (root / "b" / "notes.txt").write_text("no picture")
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(root), str(maps)])
    with pytest.raises(ValueError, match=r"notes\.txt"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert not maps.exists()


def test_what_is_behind_a_broken_picture_is_made_and_the_broken_one_named(
    pictures, expected, tmp_path, monkeypatch, capsys
):
    root, maps = tmp_path / "pictures", tmp_path / "maps"
    shutil.copytree(pictures, root)
    broken = root / "animal" / "1.jpg"
    os.truncate(broken, broken.stat().st_size // 2)
    assert run(root, maps, monkeypatch) == 1
    assert str(broken) in capsys.readouterr().out
    check(maps, {name: value for name, value in expected.items() if name != "animal/1.jpg"})


def test_maps_inside_the_pictures_are_refused(pictures, monkeypatch):
    said = run(pictures, pictures / "animal" / "maps", monkeypatch)
    assert said.startswith("MAPS: got ")
    assert not (pictures / "animal" / "maps").exists()


def test_untrained_maps_are_kept_apart(pictures, tmp_path, monkeypatch):
    small = lambda *args, **options: load_classifier("squeezenet1_1", "random")  # noqa: E731
    monkeypatch.setattr("camutils.load_classifier", small)
    assert run(pictures, tmp_path / "maps", monkeypatch) == 0
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["squeezenet1_1-random"]


def test_one_of_two_ranks_makes_every_second_picture(pictures, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    run(pictures, tmp_path / "maps", monkeypatch)
    check(tmp_path / "maps", {name: expected[name] for name in sorted(expected)[1::2]})


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun's rendezvous is POSIX here")
def test_two_processes_of_torchrun_share_the_pictures(pictures, expected, tmp_path):
    maps = tmp_path / "maps"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", "--local-addr=127.0.0.1"]
    command += [str(SCRIPT), str(pictures), str(maps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    check(maps, expected)
