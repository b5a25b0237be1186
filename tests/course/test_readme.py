"""The README's commands and code blocks do what it says."""

import re
import runpy
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


def test_own_picture_recipe_writes_an_overlay(tmp_path, monkeypatch):
    script = tmp_path / "recipe.py"
    script.write_text(block("recipe: picture").replace('"data/', f'"{ROOT.as_posix()}/data/'))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    with Image.open("overlay.png") as overlay:
        assert overlay.size == (1024, 768)


@pytest.mark.parametrize(("name", "most"), [("run", 160), ("test", 160), ("slides", 80)])
def test_commands_are_one_short_line_each(name, most):
    command = block(f"command: {name}")
    assert "\n" not in command
    assert len(command) <= most
    assert ".venv/bin/" in command
    assert "=" not in command.split()[0]  # No environment variables.


def test_it_is_short():
    assert README.count("\n") <= 150


def test_ci_runs_the_test_command():
    assert "command: test" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert block("command: test").endswith(".venv/bin/pytest --nbval -n 2 --dist loadfile")


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_picture_comes_from_the_public_domain():
    import csv

    path = re.search(r"!\[[^\]]{20,}\]\(data/([^)]+)\)", README)[1]
    with open(ROOT / "data" / "ATTRIBUTION.csv", encoding="utf-8", newline="") as table:
        licences = {row["file"]: row["licence"] for row in csv.DictReader(table)}
    assert licences[path] in ("Public domain", "CC0-1.0")
