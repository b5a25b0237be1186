"""Who made a picture, and under which licence: the rows of `data/ATTRIBUTION.csv` as text."""

import csv
import html
import re
from collections.abc import Sequence
from pathlib import Path

from camutils.data import data_path

FREE = ("Public domain", "CC0-1.0")  # Licences that ask for nothing.
READER = "the reader's own"
NOT_OURS = "from one of the course's sources, without a licence to pass it on: do not publish this"


def read_attribution() -> dict[str, dict[str, str]]:
    """The rows of `data/ATTRIBUTION.csv` by their file, a path below `data`."""
    with open(data_path("ATTRIBUTION.csv"), encoding="utf-8", newline="") as table:
        return {row["file"]: row for row in csv.DictReader(table)}


def credits_html(pictures: Sequence[Path], changes: str) -> str:
    """The credits of files in `data/` as HTML, a line for all pictures of one author and licence.

    Args:
        pictures: the files.
        changes: what was done to them, for licences that ask for it; "" for nothing.
    """
    groups = credit_groups(pictures)
    return "\n".join(f"<li>{html_line(*group, changes)}</li>" for group in groups.items())


def credit_groups(pictures: Sequence[Path]) -> dict[tuple[str, ...], list[tuple[str, str]]]:
    """(author, licence, licence_url) → the (title, source) of each picture, from ATTRIBUTION.csv.

    A file without a row is named alone, with one sentence in place of the three: it is the
    reader's own, or one of `data/originals`, which only its owner may publish.
    """
    root = data_path()
    rows = {root / file: row for file, row in read_attribution().items()}
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for picture in dict.fromkeys(Path(picture).resolve() for picture in pictures):
        row = rows.get(picture)
        group = (NOT_OURS if picture.parent == data_path("originals") else READER,)
        one = (picture.name, "")
        if row:
            group = (row["author"], row["licence"], row["licence_url"])
            one = (row["title"], row["source"])
        groups.setdefault(group, []).append(one)
    return groups


def markdown_line(group: tuple[str, ...], pictures: list[tuple[str, str]]) -> str:
    """One line for the pictures of one author and licence, with the addresses of both."""
    titles = []
    for title, source in pictures:
        address = re.match(r"https?://[^\s()]+(\([^\s()]*\)[^\s()]*)*", source)
        rest = source[address.end() :].strip() if address else source
        titles.append(f"[{title}](<{address[0]}>)" if address else title)
        titles[-1] += f" ({rest.strip('()')})" if rest else ""
    if len(group) == 1:
        return f"{'; '.join(titles)}: {group[0]}."
    author, licence, licence_url = group
    return f"{'; '.join(titles)}: {author}, [{licence}](<{licence_url}>)."


def html_line(group: tuple[str, ...], pictures: list[tuple[str, str]], changes: str) -> str:
    """The same line in HTML, with what the licence asks to be said."""
    line = html.escape(markdown_line(group, pictures), quote=False)
    line = re.sub(r"\[(.+?)\]\(&lt;(.+?)&gt;\)", r'<a href="\2">\1</a>', line)
    licence = group[1] if len(group) > 1 else ""
    if changes and licence.startswith("CC-BY"):
        line += f" Changed: {changes}."
    if licence.startswith("GPL"):
        line += " Whoever passes this figure on does so under the same licence."
    return line
