"""The figures of a notebook as files for a post: `python notebooks/pages/figures.py 02`."""

import argparse
import re
from pathlib import Path

from course.credits import NOT_OURS
from course.kernels import run_notebook

NOTEBOOKS = Path(__file__).parents[1]


def main(arguments: list[str] | None = None) -> None:
    """Execute notebooks with the embedded networks and write their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", help="beginnings of their names, as 02; none: all")
    parser.add_argument("--width", type=int, default=1600, help="in pixels (default 1600)")
    parser.add_argument("--format", choices=("webp", "png"), default="webp")
    parser.add_argument("--output", default="build/figures", help="a folder")
    chosen = parser.parse_args(arguments)
    found = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    if chosen.notebooks:
        found = [path for path in found if path.name.startswith(tuple(chosen.notebooks))]
    if not found:
        parser.error(f"no notebook begins with {' or '.join(chosen.notebooks)}")
    settings = {
        "CAMUTILS_FIGURES": str(Path(chosen.output).resolve()),
        "CAMUTILS_FIGURES_WIDTH": str(chosen.width),
        "CAMUTILS_FIGURES_FORMAT": chosen.format,
    }
    for path in found:
        print(f"{path.name} ...", flush=True)
        run_notebook(path, None, settings)
    print(f"The figures are in {chosen.output}; captions.md has them ready for a post.")
    captions = Path(chosen.output, "captions.md").read_text("utf-8")
    elements = re.findall(r'(?s)<figure id="(.+?)">(.*?)</figure>', captions)
    if private := [name for name, text in elements if NOT_OURS in text]:
        print(f"Not to be published: {', '.join(private)}, with a photograph of data/originals.")


if __name__ == "__main__":
    main()
