"""What is committed: credits, licences and sizes of `data/`, both environments, no traces."""

import csv
import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from PIL import Image

from camutils import data_path

ROOT = Path(__file__).parents[2]
DATA = data_path()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
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
    not_ours = r"originals/|.*\.py$|.*__pycache__/|.*\.ipynb_checkpoints/"
    files = {file for file in files if not re.match(not_ours, file)}  # Nor are scripts data.
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


def test_conda_installs_the_package_as_the_run_command_does_on_a_python_that_is_supported():
    written = (ROOT / "environment.yml").read_text("utf-8")
    pip = written.split("- pip:")[1].split()
    assert pip == ["-", "-c", "constraints.txt", "-", "-e", ".[course]"]
    (python,) = re.findall(r"- python=([\d.]+)\n", written)
    assert f"{python}.0" in SpecifierSet(PROJECT["requires-python"])


def test_every_direct_dependency_has_a_lower_bound_below_the_tested_version():
    constraints = (ROOT / "constraints.txt").read_text("utf-8")
    tested = dict(re.findall(r"^([\w.-]+)==([\w.]+)", constraints, re.MULTILINE))
    assert "://" not in constraints
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in [Requirement(line) for group in groups for line in group]:
        if requirement.name != "camutils":
            assert any(bound.operator in (">=", "==") for bound in requirement.specifier)
            assert tested[requirement.name.lower()] in requirement.specifier, requirement


def test_every_package_is_installed():
    packages = {p.parent.relative_to(ROOT) for p in ROOT.glob("camutils/**/__init__.py")}
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    assert sorted(listed["packages"]) == sorted(".".join(path.parts) for path in packages)


def test_what_is_ignored_is_not_committed():
    answer = subprocess.run(
        ["git", "ls-files", "-ci", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if answer.returncode:
        pytest.skip("this is no git checkout")
    assert answer.stdout == ""


def test_a_notebook_holds_nothing_of_the_machine_that_ran_it():
    traces = r"(?<![\w.~])/(?:home|root|work|tmp|usr|opt|Users|var)/|\b[A-Z]:\\|0x[0-9a-f]{6,}"
    for path in sorted(ROOT.glob("notebooks/**/[0-9]*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            texts = ["".join(cell["source"])] if cell["cell_type"] == "code" else []
            for output in cell.get("outputs", []):
                texts += ["".join(output.get("text", "")), output.get("evalue", "")]
                texts += output.get("traceback", [])
                data = output.get("data", {})
                texts += ["".join(data[kind]) for kind in data if kind.startswith("text/")]
            for text in texts:
                text = re.sub(r"https?://\S+", "", re.sub(r"\x1b\[[\d;]*m", "", text))
                assert not re.search(traces, text), (path.name, text)
