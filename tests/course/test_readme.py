"""The README's commands and code blocks do what it says."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def block(marker):
    """The code block behind an HTML comment."""
    found = re.search(rf"<!-- {marker} -->\n```\w*\n(.*?)\n```", README, re.DOTALL)
    assert found, f"README.md has no block marked {marker!r}"
    return found[1]


def test_own_picture_recipe_writes_an_overlay(tmp_path, monkeypatch):
    script = tmp_path / "recipe.py"
    script.write_text(block("recipe: picture").replace('"data/', f'"{ROOT.as_posix()}/data/'))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    with Image.open("overlay.png") as overlay:
        assert overlay.size == (1024, 768)


@pytest.mark.parametrize("name", ["run", "test", "figures", "slides"])
def test_commands_are_one_line_each(name):
    assert "\n" not in block(f"command: {name}")
    assert ".venv/bin/" in block(f"command: {name}")


def test_the_figures_command_writes_the_same_files_twice(tmp_path):
    settings, words = block("command: figures").split(" .venv/bin/jupyter ")
    assert settings == "CAMUTILS_WEIGHTS=embedded CAMUTILS_FIGURES=build/figures"
    words = [word for word in shlex.split(words) if not word.endswith(".ipynb")]
    for folder in ("one", "two"):
        out = str(tmp_path / folder)
        here = [sys.executable, "-m", "jupyter", *words, "notebooks/00_start_here.ipynb"]
        here[here.index("build")] = out
        variables = {"CAMUTILS_WEIGHTS": "embedded", "CAMUTILS_FIGURES": f"{out}/figures"}
        subprocess.run(here, env=os.environ | variables, cwd=ROOT, check=True, capture_output=True)
    files = sorted((tmp_path / "one" / "figures").iterdir())
    text = (ROOT / "notebooks" / "00_start_here.ipynb").read_text("utf-8")
    names = set(re.findall(r"\*\*Figure (00-[a-z-]+)\.", text))
    assert {path.stem for path in files} == {*names, "captions"}
    assert len(files) == 2 * len(names) + 1
    for path in files:
        assert path.read_bytes() == (tmp_path / "two" / "figures" / path.name).read_bytes()


def test_ci_runs_the_test_command():
    assert "command: test" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert block("command: test").endswith(".venv/bin/pytest")


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_picture_comes_from_the_public_domain():
    import csv

    path = re.search(r"!\[[^\]]{20,}\]\(data/([^)]+)\)", README)[1]
    with open(ROOT / "data" / "ATTRIBUTION.csv", encoding="utf-8", newline="") as table:
        licences = {row["file"]: row["licence"] for row in csv.DictReader(table)}
    assert licences[path] in ("Public domain", "CC0-1.0")
