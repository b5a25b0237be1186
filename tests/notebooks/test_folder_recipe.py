"""The script for a whole folder: right, resumable, never half a file, and in several parts."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from scripts import ROOT, load_script

import camutils
from camutils import data_path, grad_cam, load_classifier, load_image

SCRIPT = ROOT / "notebooks" / "maps_of_a_folder.py"
NETWORK = "efficientnet_lite0"  # Which stands in for the network that the script asks for.
load_once = functools.cache(load_classifier)

# Stands in for a power cut: half of the fifth file is written, then the process is gone.
POWER_CUT = """
import os, runpy, signal, sys
import numpy as np
whole, calls = np.savez, []
def savez(file, **arrays):
    calls.append(file)
    if len(calls) == 5:
        file.write(b"PK half a file")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    whole(file, **arrays)
np.savez = savez
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Small photographs in the folder itself, in folders, and in a folder of a folder."""
    root = tmp_path_factory.mktemp("pictures")
    names = ["1.jpg", "1.png", "2.jpg", "2.png", "animal/1.jpg", "animal/1.png", "animal/2.jpg"]
    names += ["animal/wild/1.jpg", "animal/wild/2.jpg", "tool/1.jpg", "tool/1.png", "tool/2.JPG"]
    photographs = sorted(path for path in data_path("photos").rglob("*.*") if path.is_file())
    for name, path in zip(names, photographs[::13], strict=False):
        small = load_image(path)
        small.thumbnail((160, 160))
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        small.save(root / name)
    return root


@pytest.fixture(scope="module")
def expected(pictures):
    """What grad_cam gives for each picture by itself."""
    classifier = load_classifier(NETWORK, "embedded")
    found = {}
    for name in files_in(pictures):
        x = classifier.preprocess(load_image(pictures / name))[None]
        result = grad_cam(classifier.model, classifier.target_layer, x)
        index = result.classes.item()
        found[name] = (result.maps[0, 0].numpy(), index, result.logits[0, index].item())
    assert len(found) == 12
    return found


@pytest.fixture
def run(monkeypatch, capsys):
    """`run(pictures, maps, ...)`: exit code, what was said, and the four numbers at its end."""
    monkeypatch.setattr(camutils, "load_classifier", load_once)
    script = load_script("notebooks/maps_of_a_folder.py")

    def run(*arguments):
        try:
            code = script.main([str(argument) for argument in arguments])
        except SystemExit as left:
            code = left.code
        said = capsys.readouterr()
        return code, said, numbers(said.out)

    return run


def numbers(out):
    """How many maps were written, were there, how many files were left out, were broken."""
    return [int(number) for number in re.findall(r"\d+", out.strip().rpartition("\n")[2])]


def files_in(folder):
    """The finished files; a process that was killed may leave a hidden folder behind."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(name.as_posix() for name in names if not re.search(r"(^|/)\.", name.as_posix()))


def times(folder):
    return {name: (folder / name).stat().st_mtime_ns for name in files_in(folder)}


def check(maps, expected):
    assert files_in(maps) == sorted(f"{NETWORK}/{name}.npz" for name in expected)
    for name, (heatmap, index, logit) in expected.items():
        with np.load(maps / NETWORK / f"{name}.npz") as got:
            assert set(got.files) == {"map", "index", "logit"}
            assert got["index"] == index, name
            assert got["logit"] == pytest.approx(logit, rel=1e-4), name
            np.testing.assert_allclose(got["map"], heatmap, atol=1e-4 * heatmap.max(), rtol=1e-4)


def one_picture(folder, name="cat.png", size=(40, 30)):
    """A folder that holds one picture."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").resize(size).convert("RGB").save(folder / name, format="PNG")
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_killed_in_the_middle_it_goes_on_where_it_stopped_and_then_has_nothing_to_do(
    pictures, expected, tmp_path, run, monkeypatch
):
    maps = tmp_path / "maps"
    command = [sys.executable, "-c", POWER_CUT, str(SCRIPT), str(pictures), str(maps)]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == -9
    before = times(maps)
    assert len(before) == 4

    code, said, counts = run(pictures, maps)
    assert (code, counts) == (0, [8, 4, 0, 0])
    assert "8/8" in said.err  # The bar.
    check(maps, expected)
    assert before.items() <= times(maps).items()

    after = times(maps)
    monkeypatch.setattr(camutils, "grad_cam", None)  # Any work would raise.
    assert run(pictures, maps)[::2] == (0, [0, 12, 0, 0])
    assert times(maps) == after


@pytest.mark.skipif(sys.platform == "win32", reason="no group of processes to interrupt")
def test_ctrl_c_says_how_to_go_on_and_leaves_whole_files_only(pictures, tmp_path):
    maps = tmp_path / "maps"
    many = tmp_path / "many"
    for i in range(4):
        shutil.copytree(pictures, many / str(i))
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(many), str(maps)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while not list(maps.rglob("*.npz")) and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # As a terminal does.
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "same command" in said
    made = files_in(maps)
    assert 1 <= len(made) < 48
    assert not [path for path in maps.rglob(".*")]
    for name in made:
        with np.load(maps / name) as got:
            assert set(got.files) == {"map", "index", "logit"}


def test_broken_pictures_are_named_and_the_others_made(pictures, expected, tmp_path, run):
    root, maps = tmp_path / "pictures", tmp_path / "maps"
    shutil.copytree(pictures, root)
    os.truncate(root / "2.jpg", (root / "2.jpg").stat().st_size // 2)
    (root / "animal" / "empty.png").touch()
    (root / "animal" / "text.webp").write_text("no picture")
    (root / "folder.jpg").mkdir()
    (root / "tool" / "dangling.gif").symlink_to("nowhere.gif")
    (root / "a\nb.tif").write_text("a name of two lines")
    (root / "labels.csv").write_text("cat,1")
    (root / "tool" / "notes.txt").write_text("no picture")
    (root / ".hidden.jpg").write_text("hidden")
    (root / ".cache").mkdir()
    (root / ".cache" / "secret.jpg").write_text("hidden")
    left = {name: value for name, value in expected.items() if name != "2.jpg"}
    for already in (0, 11):
        code, said, counts = run(root, maps)
        assert code == 1
        assert counts == [11 - already, already, 2, 5]
        for name in ("2.jpg", "empty.png", "text.webp", "dangling.gif", "labels.csv", "notes.txt"):
            assert said.out.count(name) == 1, name
        assert "hidden" not in said.out
        assert "secret" not in said.out
        check(maps, left)


def test_files_with_other_names_are_no_failure(tmp_path, run):
    root = one_picture(tmp_path / "pictures")
    (root / "labels.csv").write_text("cat,1")
    assert run(root, tmp_path / "maps")[::2] == (0, [1, 0, 1, 0])


@pytest.mark.skipif(sys.platform == "win32", reason="shorter names there")
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path, run):
    root = tmp_path / "pictures"
    names = ["猫" * 79 + ".webp", "猫" * 83 + "a.png", "猫" * 83 + "b.png", "c" * 251 + ".jpg"]
    for name in names:
        one_picture(root / "long", name)
    for written in (4, 0):
        code, _, counts = run(root, tmp_path / "maps", "--pictures")
        assert (code, counts) == (0, [written, 4 - written, 0, 0])
        assert len(files_in(tmp_path / "maps")) == 8


def test_overlays_lie_beside_the_maps_and_can_be_made_later(tmp_path, run):
    root, maps = tmp_path / "pictures", tmp_path / "maps"
    one_picture(root, "large.png", size=(1600, 1000))
    one_picture(root, "thin.png", size=(2, 900))
    one_picture(root, "small.png")
    assert run(root, maps)[2] == [3, 0, 0, 0]
    before = times(maps)
    assert run(root, maps, "--pictures")[::2] == (0, [0, 3, 0, 0])
    assert before.items() <= times(maps).items()
    sizes = {
        name: Image.open(maps / NETWORK / f"{name}.png.jpg").size for name in ("large", "thin")
    }
    assert sizes == {"large": (640, 400), "thin": (1, 640)}
    assert Image.open(maps / NETWORK / "small.png.jpg").size == (40, 30)

    with np.load(maps / NETWORK / "large.png.npz") as saved:
        heatmap = saved["map"]
    shown = np.asarray(Image.open(maps / NETWORK / "large.png.jpg").convert("HSV"))
    rows, columns = heatmap.shape
    cells = [(divmod(int(i), columns)) for i in (heatmap.argmax(), heatmap.argmin())]
    points = [
        ((2 * r + 1) * 400 // (2 * rows), (2 * c + 1) * 640 // (2 * columns)) for r, c in cells
    ]
    hot, cold = [int(shown[point][1]) for point in points]
    assert hot > 60 > 20 > cold  # Colour where the map is hot, the grey copy where it is cold.


def test_links_may_lead_in_circles_or_to_the_maps(tmp_path, run):
    root, maps = tmp_path / "pictures", tmp_path / "maps"
    one_picture(root / "a", "1.png")
    one_picture(root / "b", "2.png")
    one_picture(tmp_path / "elsewhere", "3.png")
    for link, target in {"a/up": "..", "a/b": "../b", "b/a": "../a", "c": "../elsewhere"}.items():
        (root / link).symlink_to(target)
    (root / "4.png").symlink_to("a/1.png")
    maps.mkdir()
    (root / "maps").symlink_to(maps)
    for written in (4, 0):
        code, _, counts = run(root, maps, "--pictures")
        assert (code, counts) == (0, [written, 4 - written, 0, 0])


def test_the_home_folder_is_expanded(tmp_path, run, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    one_picture(tmp_path / "pictures")
    assert run("~/pictures", "~/maps")[2] == [1, 0, 0, 0]
    assert files_in(tmp_path / "maps") == [f"{NETWORK}/cat.png.npz"]


@pytest.mark.parametrize(
    ("maps", "environment", "named"),
    [
        ("file", {}, "MAPS"),
        ("pictures", {}, "MAPS"),
        ("pictures/animal/maps", {}, "MAPS"),
        ("", {}, "MAPS"),  # The folder of the pictures, which lie where the network's maps go.
        ("maps", {"RANK": "1"}, "WORLD_SIZE"),
        ("maps", {"RANK": "0"}, "WORLD_SIZE"),
        ("maps", {"WORLD_SIZE": "2"}, "RANK"),
        ("maps", {"RANK": "2", "WORLD_SIZE": "2"}, "RANK"),
        ("maps", {"RANK": "-1", "WORLD_SIZE": "2"}, "RANK"),
        ("maps", {"RANK": "one", "WORLD_SIZE": "2"}, "RANK"),
        ("maps", {"RANK": "", "WORLD_SIZE": ""}, "RANK"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(
    tmp_path, run, monkeypatch, maps, environment, named
):
    root = one_picture(tmp_path / (NETWORK if maps == "" else "pictures"))
    (tmp_path / "file").touch()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = files_in(tmp_path)
    code, said, _ = run(root, tmp_path / maps)
    assert code == 2
    assert named in said.err
    assert said.err.count("\n") == 1
    assert files_in(tmp_path) == before


def test_a_folder_that_does_not_exist_is_refused(tmp_path, run):
    code, said, _ = run(tmp_path / "nowhere", tmp_path / "maps")
    assert code == 2
    assert "PICTURES" in said.err


def test_maps_that_cannot_be_written_are_a_sentence(tmp_path, run):
    (tmp_path / "file").touch()
    code, said, _ = run(one_picture(tmp_path / "pictures"), tmp_path / "file" / "maps")
    assert code == 2
    assert str(tmp_path / "file" / "maps") in said.err


def test_weights_that_do_not_exist_are_refused(tmp_path, run, monkeypatch):
    monkeypatch.setattr(camutils, "load_classifier", load_classifier)
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "nonsense")
    code, said, _ = run(one_picture(tmp_path / "pictures"), tmp_path / "maps")
    assert code == 2
    assert "CAMUTILS_WEIGHTS" in said.err


def test_untrained_maps_are_kept_apart(tmp_path, run, monkeypatch):
    root = one_picture(tmp_path / "pictures")
    untrained = load_once("squeezenet1_1", "random")
    monkeypatch.setattr(camutils, "load_classifier", lambda *_, **__: untrained)
    assert run(root, tmp_path / "maps")[0] == 0
    assert files_in(tmp_path / "maps") == ["squeezenet1_1-random/cat.png.npz"]


def test_two_ranks_make_every_picture_once(pictures, expected, tmp_path, run, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert run(pictures, tmp_path / "maps")[::2] == (0, [6, 0, 0, 0])
    assert len(files_in(tmp_path / "maps")) == 6
    monkeypatch.setenv("RANK", "0")
    assert run(pictures, tmp_path / "maps")[::2] == (0, [6, 0, 0, 0])
    check(tmp_path / "maps", expected)


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun's rendezvous is POSIX here")
def test_under_torchrun_a_process_with_broken_pictures_does_not_stop_the_other(tmp_path):
    """Of the sorted pictures one process gets every second one: all that are broken."""
    root = tmp_path / "pictures"
    for i in range(40):
        one_picture(root, f"{i:02}.png", size=(1200, 900))
        if i % 2:
            os.truncate(root / f"{i:02}.png", 100)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", "--local-addr=127.0.0.1"]
    command += [str(SCRIPT), str(root), str(tmp_path / "maps")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 1
    assert done.stdout.count(str(root)) == 20
    assert numbers(done.stdout) == [20, 0, 0, 20], done.stderr[-2000:]
    assert len(files_in(tmp_path / "maps")) == 20
