"""The README's commands are where CI finds them, and its script draws a map of a picture."""

import re
import runpy
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


def block(marker):
    """The code block behind an HTML comment."""
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.search(rf"<!-- {marker} -->\n```\w*\n(.*?)\n```", text, re.DOTALL)
    assert found, f"README.md has no block marked {marker!r}"
    return found[1]


@pytest.mark.parametrize("name", ["run", "test"])
def test_a_command_is_one_line(name):
    assert "\n" not in block(f"command: {name}")


def test_the_script_for_the_readers_own_picture_draws_its_map(tmp_path, monkeypatch, capsys):
    script = tmp_path / "my_map.py"
    script.write_text(block("recipe: picture").replace('"data/', f'"{ROOT.as_posix()}/data/'))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    assert capsys.readouterr().out.startswith("ice_bear")
    with Image.open("overlay.png") as overlay:
        assert overlay.size == (1024, 768)
    assert Path("picture_map_overlay.png").is_file()


def test_five_lines_make_a_map(tmp_path, monkeypatch):
    lines = block("recipe: map")
    assert len([line for line in lines.splitlines() if line]) == 5
    monkeypatch.chdir(tmp_path)
    exec(lines.replace('"data/', f'"{ROOT.as_posix()}/data/'), {})
    with Image.open("overlay.png") as overlay:
        colours = overlay.convert("HSV").getchannel("S").histogram()
    assert sum(colours[128:]) > 10_000  # Hot places; all else is grey.
    assert colours[0] > 100_000
