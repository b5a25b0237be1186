"""The README's commands and code blocks do what it says."""

import csv
import importlib.util
import re
import runpy
import tomllib
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def block(marker):
    """The code block behind an HTML comment."""
    found = re.search(rf"<!-- {marker} -->\n```\w*\n(.*?)\n```", README, re.DOTALL)
    assert found, f"README.md has no block marked {marker!r}"
    return found[1]


def test_it_is_short():
    assert README.count("\n") <= 150


def test_the_script_for_the_readers_own_picture_writes_an_overlay(tmp_path, monkeypatch, capsys):
    script = tmp_path / "recipe.py"
    script.write_text(block("recipe: picture").replace('"data/', f'"{ROOT.as_posix()}/data/'))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    assert capsys.readouterr().out.startswith("ice_bear")
    with Image.open("overlay.png") as overlay:
        assert overlay.size == (1024, 768)


@pytest.mark.parametrize("name", ["run", "test", "slides"])
def test_a_command_is_one_line_in_the_environment(name):
    assert "\n" not in block(f"command: {name}")
    assert ".venv/bin/" in block(f"command: {name}")


def test_both_commands_install_the_tested_versions_and_the_extra_that_they_need():
    for name, extra in (("run", "course"), ("test", "test")):
        assert f"pip install -c constraints.txt -e '.[{extra}]'" in block(f"command: {name}")
    assert "pytest -p nbval.plugin --nbval " in block("command: test")


def test_ci_runs_the_test_command():
    assert "command: test" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_colab_gets_what_the_package_needs_and_a_notebook_service_has_not():
    (line,) = (line for line in block("recipe: colab").splitlines() if "pip install" in line)
    named = [word for word in line.split()[2:] if not word.startswith("-")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    there = ("torch", "torchvision", "numpy", "pillow", "matplotlib", "tqdm")
    needed = [d for d in project["dependencies"] if re.split("[>=]", d)[0] not in there]
    assert [word.partition(">")[0] for word in needed] == named


def test_modules_that_it_runs_are_there():
    names = re.findall(r"python -m (camutils[\w.]*)", README)
    assert {"camutils.download", "camutils.course.figures"} <= set(names)
    assert all(importlib.util.find_spec(name) for name in names)


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_its_picture_is_in_the_public_domain_and_has_an_alternative_text():
    path = re.search(r"!\[[^\]]{20,}\]\(data/([^)]+)\)", README)[1]
    with open(ROOT / "data" / "ATTRIBUTION.csv", encoding="utf-8", newline="") as table:
        licences = {row["file"]: row["licence"] for row in csv.DictReader(table)}
    assert licences[path] in ("Public domain", "CC0-1.0")
