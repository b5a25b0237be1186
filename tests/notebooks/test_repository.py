"""What is committed: credits, licences and sizes of `data/`, dependencies, workflows, links."""

import csv
import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from PIL import Image

import course
from camutils import data_path
from camutils.download import ORIGINALS

ROOT = Path(__file__).parents[2]
DATA = data_path()
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
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
    about = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = [ROOT / "camutils", *(ROOT / folder for folder in about["package-dir"].values())]
    packages = [path.parent for folder in folders for path in folder.rglob("__init__.py")]
    names = [".".join(path.relative_to(ROOT).parts) for path in packages]
    assert sorted(about["packages"]) == sorted(name.removeprefix("notebooks.") for name in names)


def test_the_course_is_that_beside_the_notebooks():
    assert Path(course.__file__).parent == ROOT / "notebooks" / "course"


def test_what_is_ignored_is_not_committed():
    answer = subprocess.run(
        ["git", "ls-files", "-ci", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if answer.returncode:
        pytest.skip("this is no git checkout")
    assert answer.stdout == ""


@pytest.mark.parametrize("name", ["README.md", ".github/CONTRIBUTING.md"])
def test_what_is_named_is_here(name):
    text = (ROOT / name).read_text("utf-8")
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert link.startswith("https://") or (ROOT / name).parent.joinpath(link).exists(), link
    for script in re.findall(r"(?:python|pytest) ((?:tests|notebooks|data|\.ci)/\S+\.py)", text):
        assert (ROOT / script).is_file(), script


def steps():
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values():
            yield from job["steps"]


def test_the_workflows_fit_the_published_schema():
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.github-workflows", *WORKFLOWS]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_actions_are_pinned_by_version():
    actions = [step["uses"] for step in steps() if "uses" in step]
    assert actions
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+\.\d+\.\d+", action) for action in actions)


def test_no_workflow_publishes_a_photograph_of_the_sources():
    (download,) = [step["run"] for step in steps() if "camutils.download" in step.get("run", "")]
    assert not set(download.split()) & set(ORIGINALS)


def test_the_site_is_built_of_both_kinds_of_networks_and_without_originals(tmp_path):
    source = tmp_path / "notebooks"
    source.mkdir()
    # Not the course's own settings, which execute notebooks.
    (source / "conf.py").write_text(
        "import os\nrst_prolog = '.. |kind| replace:: ' + os.environ['CAMUTILS_WEIGHTS']\n"
    )
    (source / "index.rst").write_text("Home\n====\n\nOn the |kind| networks.\n")
    command = [sys.executable, ROOT / ".ci/site.py", source, tmp_path / "site"]
    subprocess.run(command, capture_output=True, check=True)
    index = (tmp_path / "site/index.html").read_text("utf-8")
    for kind in ("embedded", "pretrained"):
        assert f'href="{kind}/index.html"' in index
        page = (tmp_path / f"site/{kind}/index.html").read_text("utf-8")
        assert f"On the {kind} networks" in page
    original = tmp_path / "data" / "originals" / "elephants.jpg"
    original.parent.mkdir(parents=True)
    original.touch()
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "published" in refused.stderr
