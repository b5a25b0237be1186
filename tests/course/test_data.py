"""Credits, licences and sizes of `data/`; environment.yml; the committed notebooks."""

import csv
import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from camutils import data_path

ROOT = Path(__file__).parents[2]
DATA = data_path()
LICENCES = {
    "Public domain",
    "CC0-1.0",
    "CC-BY-2.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-2.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "MIT",
    "verbatim copies permitted",  # The text of the GPL itself.
}

with open(DATA / "ATTRIBUTION.csv", encoding="utf-8", newline="") as table:
    ROWS = list(csv.DictReader(table))


def test_every_file_has_its_row_and_every_row_its_file():
    files = {path.relative_to(DATA).as_posix() for path in DATA.rglob("*") if path.is_file()}
    files = {f for f in files if not f.startswith("originals/") and ".ipynb_checkpoints" not in f}
    names = [row["file"] for row in ROWS]
    assert len(names) == len(set(names))
    assert set(names) == files - {"ATTRIBUTION.csv", ".DS_Store"}


def test_every_row_names_title_author_licence_source_and_the_right_content():
    wrong = []
    for row in ROWS:
        assert all(row.values()), row
        assert None not in row, row
        assert row["licence"] in LICENCES, row
        digest = hashlib.sha256((DATA / row["file"]).read_bytes()).hexdigest()
        if digest != row["sha256"]:
            wrong.append(row["file"])
    assert wrong == []


@pytest.mark.parametrize("folder", ["photos", "unseen"])
def test_the_photographs_are_small(folder):
    files = [path for path in (DATA / folder).rglob("*") if path.is_file()]
    assert files
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    for path in files:
        with Image.open(path) as image:
            assert max(image.size) <= 512, path


def test_no_photograph_is_in_training_and_unseen_or_there_twice():
    digests = [row["sha256"] for row in ROWS if row["file"].startswith(("photos/", "unseen/"))]
    assert len(digests) == len(set(digests))


def test_the_environment_installs_the_same_package_with_the_same_constraints():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (least,) = re.findall(r'^requires-python = ">=3\.(\d+)"$', project, re.MULTILINE)
    written = (ROOT / "environment.yml").read_text("utf-8")
    (python,) = re.findall(r"- python=3\.(\d+)$", written, re.MULTILINE)
    assert int(python) >= int(least)
    assert "- -c constraints.txt\n" in written
    assert "- -e .[course]\n" in written


def test_the_constraints_are_versions_and_no_addresses():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 100
    for pin in pins:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[\w.+!]+( ; .+)?", pin), pin


def test_what_is_ignored_is_not_committed():
    answer = subprocess.run(
        ["git", "ls-files", "-ci", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if answer.returncode:
        pytest.skip("this is no git checkout")
    assert answer.stdout == ""
