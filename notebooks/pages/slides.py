"""Slides of the notebooks' telling figures: `python notebooks/pages/slides.py`.

Each notebook becomes a deck in `build/slides/`, which needs no network connection: pictures and
reveal.js lie beside it. A slide is a picture, or a list of answers, of a cell tagged `slide`, with
the nearest heading before it; the credits come at the end. The committed outputs are shown, nothing
is executed.
"""

import base64
import hashlib
import re
import shutil
import sys
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from nbformat import NotebookNode

MARKDOWN = MarkdownIt("commonmark", {"html": True})
ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}
# As `African_elephant   0.54` or `tusker   logit 18.04  probability 0.05`: one word, one number.
ANSWER = re.compile(r"(\S+)(?:\s+logit\s+\S+\s+probability)?\s+(0\.\d+|1\.0+)")
CREDITS = re.compile(r"<details>\s*<summary>Credits</summary>(.*?)</details>", re.DOTALL)
FIGURE_NAME = re.compile(r"^\*\*Figure .*?\*\*\s*")  # The notebook's own way to refer to it.
SECTION_NUMBER = re.compile(r"^\d+ · ")  # A deck leaves sections out: numbers would have gaps.
CREDITS_ON_A_SLIDE = 700  # characters
COURSE = "Class activation maps"

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="reveal/reset.css">
<link rel="stylesheet" href="reveal/reveal.css">
<link rel="stylesheet" href="slides.css">
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="reveal/reveal.js"></script>
<script>
Reveal.initialize({{
  width: 1280, height: 720, margin: 0, center: false, display: "flex", hash: true,
  transition: "none", slideNumber: "c/t"
}});
</script>
</body>
</html>
"""
INDEX = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{course}: slides</title>
<link rel="stylesheet" href="slides.css">
<body class="index">
<main>
<h1>{course}: slides</h1>
<ul>
{decks}
</ul>
<p>Arrow keys turn the slides, F fills the screen, Esc shows them all, and ?print-pdf after the
address makes pages to print.</p>
</main>
</body>
</html>
"""
STYLE = """
body { background: white; color: #1c1c28; font-family: system-ui, sans-serif; }
body.index { margin: 3rem auto; max-width: 44rem; padding: 0 1rem; line-height: 1.6; }
a { color: #1a4fa0; }
.reveal { font-size: 32px; line-height: 1.35; }
.reveal .slides { text-align: left; }
.reveal .slides > section {
  box-sizing: border-box; height: 100%; padding: 28px 48px 36px; flex-direction: column; gap: 14px;
}
h1 { font-size: 2em; line-height: 1.15; }
.reveal h1 { font-size: 68px; font-weight: 650; margin: auto 0 0; }
.reveal h1 + p { color: #565666; margin-bottom: auto; }
.reveal h2 { font-size: 38px; font-weight: 650; }
.reveal .slide-number { right: auto; left: 12px; background: none; color: #565666; }
.reveal img { flex: 1; min-height: 0; width: 100%; object-fit: contain; }
.reveal .caption { color: #565666; font-size: 22px; text-align: center; padding: 0 90px; }
.reveal code, .reveal code * { font-family: ui-monospace, monospace; font-size: 0.9em; }
.answers {
  flex: 1; display: grid; align-content: center; align-items: center; gap: 28px 24px;
  grid-template-columns: max-content 1fr max-content; font-size: 40px;
}
.answers i { height: 52px; border-radius: 4px; background: #eceaf1; }
.answers i::before {
  content: ""; display: block; width: calc(100% * var(--share)); height: 100%;
  border-radius: 4px; background: #bc3754;
}
.answers b { font-weight: 400; font-variant-numeric: tabular-nums; }
/* Printed, each slide is a page of its own. */
html.print-pdf .reveal .slides section {
  display: flex !important; flex-direction: column; gap: 14px; box-sizing: border-box;
  top: 0 !important; height: 718px !important;
  min-height: 0 !important; padding: 28px 48px 36px !important; overflow: hidden !important;
}
.credits { font-size: 21px; }
.credits li { list-style: none; margin-bottom: 0.45em; overflow-wrap: anywhere; }
"""


def write_slides(notebooks: list[Path], folder: Path) -> int:
    """Write a deck for each notebook, and an index of them.

    Args:
        notebooks: with their outputs, in the order of the index.
        folder: where `index.html` and the decks are written; made if need be.

    Returns:
        How many slides there are.

    Raises:
        ValueError: no notebooks, or a tagged cell without a picture and without answers.
    """
    if not notebooks:
        raise ValueError("notebooks: got none; expected the numbered ones in notebooks/.")
    shutil.rmtree(folder / "pictures", ignore_errors=True)  # Those of older outputs.
    (folder / "pictures").mkdir(parents=True)
    (folder / "reveal").mkdir(exist_ok=True)
    reveal = files("sphinx_revealjs") / "_static" / "revealjs"
    for name in ("LICENSE", "dist/reset.css", "dist/reveal.css", "dist/reveal.js"):
        (folder / "reveal" / Path(name).name).write_bytes((reveal / name).read_bytes())
    (folder / "slides.css").write_text(STYLE, "utf-8")
    decks, n_slides = [], 0
    for path in notebooks:
        title, slides = _deck(nbformat.read(path, as_version=4), path.name, folder)
        page = PAGE.format(title=escape(title), slides="\n".join(slides))
        (folder / f"{path.stem}.html").write_text(page, "utf-8")
        decks.append(
            f'<li><a href="{path.stem}.html">{escape(title)}</a>, {len(slides)} slides</li>'
        )
        n_slides += len(slides)
    index = INDEX.format(course=COURSE, decks="\n".join(decks))
    (folder / "index.html").write_text(index, "utf-8")
    return n_slides


def _deck(notebook: NotebookNode, name: str, folder: Path) -> tuple[str, list[str]]:
    """The title of a notebook and its slides in HTML; pictures are written."""
    title, heading, slides = name, "", []
    credits: dict[str, None] = {}  # In their order, each once.
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for level, text in _headings(cell.source):
                if level == "h1":
                    title = text
                heading = SECTION_NUMBER.sub("", text)
        elif "slide" in cell.metadata.get("tags", []):
            made = list(_slides_of(cell, heading, folder))
            if not made:
                raise ValueError(f"{name}, cell {index}: tagged slide, but shows no picture.")
            slides += made
            credits |= dict.fromkeys(_credits(cell))
    first = f"<section><h1>{MARKDOWN.renderInline(title)}</h1><p>{COURSE}</p></section>"
    return title, [first, *slides, *_credit_slides(list(credits))]


def _headings(source: str) -> Iterator[tuple[str, str]]:
    """Level (`h1` to `h6`) and text of each heading, without anchors for links."""
    for opening, inline in pairwise(MARKDOWN.parse(source)):
        if opening.type == "heading_open":
            yield opening.tag, re.sub(r"<a id=[^>]*></a>", "", inline.content).strip()


def _slides_of(cell: NotebookNode, heading: str, folder: Path) -> Iterator[str]:
    """A slide for each picture of a code cell, with its caption, and for each list of answers."""
    above = f"<h2>{MARKDOWN.renderInline(heading)}</h2>"
    outputs = cell.outputs
    for output, following in zip(outputs, [*outputs[1:], {}], strict=True):
        if "text" in output:
            answers = [ANSWER.fullmatch(line.strip()) for line in output.text.splitlines()]
            if answers and all(answers):
                yield f"<section>{above}{_bars([a.groups() for a in answers])}</section>"
        kinds = [kind for kind in ENDINGS if kind in output.get("data", {})]
        for kind in kinds[:1]:
            caption = CREDITS.sub("", following.get("data", {}).get("text/markdown", ""))
            caption = FIGURE_NAME.sub("", caption)
            yield (
                f"<section>{above}{_picture(output, kind, folder)}"
                f'<div class="caption">{MARKDOWN.render(caption)}</div></section>'
            )


def _picture(output: NotebookNode, kind: str, folder: Path) -> str:
    """Write a picture, named after what is in it, and show it."""
    content = base64.b64decode(output.data[kind])
    name = f"pictures/{hashlib.sha256(content).hexdigest()[:16]}.{ENDINGS[kind]}"
    (folder / name).write_bytes(content)
    alt = output.metadata.get(kind, {}).get("alt", "")
    return f'<img src="{name}" alt="{escape(alt)}">'


def _bars(answers: list[tuple[str, str]]) -> str:
    """Answers with their probabilities as horizontal bars."""
    rows = [
        f"<span>{escape(label.replace('_', ' '))}</span>"
        f'<i style="--share: {share}"></i><b>{share}</b>'
        for label, share in answers
    ]
    return f'<div class="answers">{"".join(rows)}</div>'


def _credits(cell: NotebookNode) -> Iterator[str]:
    """The credits that captions fold away, one for each picture, in HTML."""
    for output in cell.outputs:
        text = output.get("data", {}).get("text/markdown", "")
        for folded in CREDITS.findall(text):
            for block in re.split(r"</?(?:ul|ol|li|p|br)\b[^>]*>|\n", MARKDOWN.render(folded)):
                if credit := block.strip():
                    yield credit


def _credit_slides(credits: list[str]) -> Iterator[str]:
    """As many slides as the credits need."""
    page: list[str] = []
    length = 0
    for credit in credits:
        words = len(re.sub("<[^>]*>", "", credit))
        if page and length + words > CREDITS_ON_A_SLIDE:
            yield _credit_slide(page)
            page, length = [], 0
        page.append(credit)
        length += words
    if page:
        yield _credit_slide(page)


def _credit_slide(credits: list[str]) -> str:
    rows = "".join(f"<li>{credit}</li>" for credit in credits)
    return f'<section><h2>Credits</h2><ul class="credits">{rows}</ul></section>'


def main() -> None:
    """Write the slides of all numbered notebooks into `build/slides`."""
    folder = Path("build", "slides")
    try:
        n_slides = write_slides(sorted(Path("notebooks").glob("[0-9]*.ipynb")), folder)
    except ValueError as error:
        sys.exit(str(error))
    print(f"{n_slides} slides: open {folder / 'index.html'}")


if __name__ == "__main__":
    main()
