"""Figures with a caption and credits, and as files that come out the same every time."""

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from IPython.display import Markdown, display

from camutils.data import data_path, whole_file
from camutils.plotting import Figure


def show_figure(figure: Figure, name: str, caption: str, pictures: Sequence[Path] = ()) -> None:
    """Show a figure with its caption and the credits of its pictures.

    If the environment variable `CAMUTILS_FIGURES` names a folder (relative to the checkout), the
    figure is also written there, as `<name>.png` (300 dpi) and `<name>.svg` without date and
    version, and its caption goes into `captions.txt`. Written twice, the files are equal.

    Args:
        figure: as `show_cam` and `show_images` make it.
        name: of the files: small letters, digits and hyphens, as `02-elephants`.
        caption: one or two sentences that can be read alone, with the network's name.
        pictures: the files in `data/` that the figure shows; their credits are looked up.

    Raises:
        ValueError: a name that is none.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"name: got {name!r}, expected small letters, digits and hyphens.")
    sources = credits(pictures)
    display(figure)
    display(Markdown(f"**Figure {name}.** {caption} {sources and f'*{sources}*'}".strip()))
    if folder := os.environ.get("CAMUTILS_FIGURES"):
        _write(figure, name, f"{caption} {sources}".strip(), data_path().parent / folder)


def credits(pictures: Sequence[Path]) -> str:
    """Title, author and licence of pictures, as `data/ATTRIBUTION.csv` has them.

    Pictures of one author and licence share a sentence. A file without a row, as the reader's own
    picture, is named without credit.
    """
    root = data_path()
    with open(root / "ATTRIBUTION.csv", encoding="utf-8", newline="") as table:
        rows = {root / row["file"]: row for row in csv.DictReader(table)}
    titles: dict[str, list[str]] = {}
    for picture in dict.fromkeys(Path(picture).resolve() for picture in pictures):
        row = rows.get(picture)
        rest = f"{row['author']}, {row['licence']}" if row else "the reader's own"
        titles.setdefault(rest, []).append(row["title"] if row else picture.name)
    return " ".join(
        f"Picture{'s' * (len(some) > 1)}: {'; '.join(dict.fromkeys(some))}, {rest}."
        for rest, some in titles.items()
    )


def _write(figure: Figure, name: str, caption: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": name}):
        for ending, metadata in (
            ("png", {"Software": None}),
            ("svg", {"Date": None, "Creator": None}),
        ):
            with whole_file(folder / f"{name}.{ending}") as path:
                figure.savefig(path, format=ending, dpi=300, bbox_inches="tight", metadata=metadata)
    index = folder / "captions.txt"
    written = index.read_text("utf-8") if index.is_file() else ""
    captions = dict(re.findall(r"^Figure (\S+)\. (.*)$", written, re.MULTILINE))
    captions[name] = " ".join(caption.split())
    with whole_file(index) as path:
        path.write_text(
            "".join(f"Figure {key}. {captions[key]}\n\n" for key in sorted(captions)), "utf-8"
        )
