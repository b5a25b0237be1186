"""A talk from each of the notebooks 00 to 05: `python notebooks/pages/slides.py`.

Runs the notebooks, two at a time, so that their figures are drawn for slides, and writes a deck for
each into `build/slides/`, which needs no network connection: pictures and reveal.js lie beside it.

What a slide shows stands in the notebook. A **Predict** box is a slide, and so are the output that
answers it, each figure of a cell tagged `slide`, the formulas of a section, and a list that a
section begins with. Over a figure stands a sentence of the text that follows it: the one in bold,
or the first. All other text becomes the speaker's notes. Exercises are left out, and after "What we
have found" come only the credits. Where a talk differs from that, `talks.toml` says so.
"""

import argparse
import base64
import hashlib
import io
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from PIL import Image
from rendering import MARKDOWN
from slide_figures import BELOW, BESIDE

from course.credits import NOT_OURS
from course.kernels import AT_A_TIME, SHARE_OF_THE_CORES, run_notebook

PAGES = Path(__file__).parent
NOTEBOOKS = PAGES.parent
COURSE = "Class activation maps"
LAST = "What we have found"
ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}
# As `African_elephant   0.54` or `tusker   logit 18.04  probability 0.05`: one word, one number.
ANSWER = re.compile(r"(\S+)(?:\s+logit\s+\S+\s+probability)?\s+(0\.\d+|1\.0+)")
CAPTION = re.compile(r"\*\*Figure (\S+)\.\*\*\s*(.*?)\s*(<details>.*)?", re.DOTALL)
CREDIT = re.compile(r"^- (.*): (.*)$", re.MULTILINE)  # The pictures; their author and licence.
# Before a capital letter, a formula or a bracket, but not after `et al.`.
END_OF_SENTENCE = re.compile(r"(?<=[.?!])(?<!al\.)([*)\"]*) +(?=[(*\"`$]*[A-Z0-9`$])")
ITEM = re.compile(r"(?:-|\d+\.) +")
SHORT = 45  # Characters: a shorter sentence does not stand alone.
LONG = 240  # Characters before a question.
LONGEST_OUTPUT = 12  # lines

START = f"""
import sys
sys.path.append({str(PAGES)!r})
from slide_figures import take_over
take_over()
"""
REVEAL = ("LICENSE", "dist/reset.css", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js")
CHANGES = "All were scaled, some cropped; heat maps, outlines and marks were laid over them."
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
<script src="reveal/notes.js"></script>
<script>
Reveal.initialize({{
  width: 1280, height: 720, margin: 0, center: false, display: "flex", hash: true,
  transition: "none", slideNumber: "c/t", controls: false, plugins: [RevealNotes]
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
<p>Arrow keys turn the slides, F fills the screen, Esc shows them all, and S opens the speaker's
notes. With ?print-pdf after its address a deck becomes pages to print, and with
?print-pdf&amp;showNotes=separate-page the notes are printed, too.</p>
</main>
</body>
</html>
"""


@dataclass
class Picture:
    """A figure, or one of its photographs."""

    content: bytes
    kind: str
    alt: str
    caption: str = ""
    credits: list[tuple[str, str]] = field(default_factory=list)
    photographs: list["Picture"] = field(default_factory=list)


@dataclass
class Slide:
    """What is to be seen on a slide, and what the speaker says; texts in Markdown."""

    section: str
    words: str = ""
    question: str = ""
    formulas: list[tuple[str, str]] = field(default_factory=list)  # A sentence and a formula each.
    items: str = ""
    picture: Picture | None = None
    answers: list[tuple[str, str]] = field(default_factory=list)
    printed: str = ""
    before: list[str] = field(default_factory=list)  # The notes, from the text that comes before
    after: list[str] = field(default_factory=list)  # and after it.


class Talk:
    """The slides that a notebook gives.

    Args:
        notebook: with its outputs.
        plan: its table in `talks.toml`.

    Raises:
        ValueError: the plan names a cell or a figure that is not there; a cell tagged
            `slide` shows nothing; an output is too long for a slide.
    """

    def __init__(self, notebook: NotebookNode, plan: Mapping[str, Any]) -> None:
        self.plan = plan
        self.title = ""
        self.slides: list[Slide] = []
        self.last_cell = 0  # Of those that give a slide.
        self._section = ""
        self._begins = True  # No slide has come yet in this section,
        self._before: list[str] = []  # and this prose waits for one.
        self._figures = {cell.id: _figures(cell) for cell in notebook.cells}
        texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        blocks = [text for source in texts for _, text in _blocks(source)]
        items = [line for text in blocks if ITEM.match(text) for line in text.splitlines()]
        blocks += [ITEM.sub("", item) for item in items]
        self._sentences = [sentence for text in blocks for sentence in _sentences(text)]
        known = self._figures.keys() | {key for found in self._figures.values() for key in found}
        if lost := {key for table in plan.values() for key in table} - known:
            raise ValueError(f"talks.toml names what is not there: {', '.join(lost)}.")
        for index, cell in enumerate(notebook.cells):
            n_slides = len(self.slides)
            if cell.cell_type == "markdown":
                self._read(cell)
            else:
                self._look(cell)
            if len(self.slides) > n_slides:
                self.last_cell = index
                if self._section == LAST:
                    break

    def _read(self, cell: NotebookNode) -> None:
        """Make slides of a text's questions, formulas and lists; the rest becomes notes."""
        is_exercise = follows_formula = False
        paragraph = ""
        for kind, text in _blocks(cell.source):
            if kind in ("h1", "h2", "h3"):
                if self._section == LAST:
                    break
                heading = re.sub(r"^#+ (?:\d+ · )?", "", text)
                is_exercise = heading.startswith("Exercise")
                if not is_exercise:
                    self._section, self._begins, paragraph = heading, True, ""
                if kind == "h1":
                    self.title = heading
                    self._add(cell, words=self._said("say", cell))
                elif kind == "h2":
                    self._before = []
            elif is_exercise:
                continue
            elif text.startswith("**Predict.**"):
                question = text.removeprefix("**Predict.**").strip()
                if follows_formula and self.slides[-1].formulas:
                    self.slides[-1].question = question
                    continue
                words = self._said("before", cell, _last_sentences(paragraph))
                self._add(cell, question=question, words=words, picture=self._beside(cell))
                paragraph = ""
            elif kind == "math":
                self._add_formula(cell, paragraph, text)
                paragraph = ""
                follows_formula = True
                continue
            elif kind in ("ul", "ol") and self._begins and not paragraph:
                self._add(cell, items=_first_sentences(text), after=[text])
            elif not text.startswith("["):  # Links to the notebooks before and after.
                paragraph = text if kind in ("p", "blockquote") else ""
                (self._before if self._begins else self.slides[-1].after).append(text)
            follows_formula = False

    def _look(self, cell: NotebookNode) -> None:
        """Make slides of a code cell's figures, or one of what it printed."""
        tags = cell.metadata.get("tags", [])
        last = self.slides[-1]
        if "slide" not in tags and not (last.question and "hide-output" in tags):
            return
        printed = _printed(cell)
        lines = [line.strip() for line in printed.splitlines()]
        answers = [one.groups() for one in map(ANSWER.fullmatch, lines) if one]
        answers = answers if len(answers) > 1 else []
        figures = self._figures[cell.id]
        words = self._said("say", cell)
        if not figures and answers and last.picture:
            last.answers = answers  # They are about the picture just shown.
        elif not figures:
            if not 0 < len(lines) <= LONGEST_OUTPUT:
                raise ValueError(f"Cell {cell.id} prints {len(lines)} lines: no slide for that.")
            self._add(cell, words=words, printed=printed)
        for name, figure in figures.items():
            if figure is last.picture or name in self.plan.get("leave_out", []):
                continue  # It stood beside the question.
            notes = [figure.caption, f"```\n{printed}\n```" if printed else ""]
            self._add(cell, words=words, picture=figure, answers=answers, before=notes)
            words, answers, printed = "", [], ""

    def _add(self, cell: NotebookNode, before: Sequence[str] = (), **parts: Any) -> None:
        if cell.id in self.plan.get("leave_out", []):
            return
        slide = Slide(self._section, before=[*self._before, *filter(None, before)], **parts)
        self.slides.append(slide)
        self._before, self._begins = [], False

    def _add_formula(self, cell: NotebookNode, paragraph: str, formula: str) -> None:
        """On the slide of the formula before it, if there is one."""
        words = self._said("say", cell, (_sentences(paragraph) or [""])[-1])
        if self.slides[-1].formulas and not self._begins:
            self.slides[-1].formulas.append((words, formula))
        else:
            self._add(cell, formulas=[(words, formula)])

    def _said(self, table: str, cell: NotebookNode, otherwise: str = "") -> str:
        """The sentences that the plan names for a cell, perhaps none; otherwise these."""
        if cell.id not in self.plan.get(table, {}):
            return otherwise
        said = []
        for beginning in self.plan[table][cell.id]:
            found = [one for one in self._sentences if _plain(one).startswith(beginning)]
            if len(found) != 1:  # Whoever changes a sentence need not know of slides.
                print(
                    f"talks.toml, {table}.{cell.id}: {len(found)} sentences of the notebook begin "
                    f"with {beginning!r}; the slide takes another one."
                )
                return otherwise
            said += found
        return ("\n\n" if any(map(ITEM.match, said)) else " ").join(said)

    def _beside(self, cell: NotebookNode) -> Picture | None:
        """The figure beside a question, or one of its photographs."""
        wanted = self.plan.get("show", {}).get(cell.id)
        if not wanted:
            return None
        name, _, number = wanted.partition(" ")
        figures = {key: one for found in self._figures.values() for key, one in found.items()}
        if name not in figures:
            raise ValueError(f"talks.toml names a figure that is not there: {name}.")
        if not number:
            return figures[name]
        photographs = figures[name].photographs  # None of a figure as committed.
        return photographs[int(number) - 1] if photographs else None


def _blocks(source: str) -> Iterator[tuple[str, str]]:
    """What a text is made of, and each part's Markdown; quotations without their marks."""
    lines = source.splitlines()
    for token in MARKDOWN.parse(source):
        if token.level == 0 and token.nesting >= 0:
            text = "\n".join(lines[slice(*token.map)])
            if token.tag == "blockquote":
                text = re.sub("^> ?", "", text, flags=re.MULTILINE)
            yield token.tag, text


def _sentences(text: str) -> list[str]:
    """The sentences of a paragraph; a list as one."""
    if ITEM.match(text):
        return [text]
    sentences: list[str] = []
    for part in END_OF_SENTENCE.sub(r"\1\n", " ".join(text.split())).splitlines():
        if sentences and sentences[-1].count("**") % 2:  # Both are in bold.
            sentences[-1] += f" {part}"
        else:
            sentences.append(part)
    return sentences


def _plain(text: str) -> str:
    return re.sub("[*`]", "", text)


def _first_sentences(items: str) -> str:
    """A list with the first sentence of each of its items."""
    found = re.findall(rf"^({ITEM.pattern})(.*)", items, re.MULTILINE)
    return "\n".join(mark + _sentences(item)[0] for mark, item in found)


def _last_sentences(paragraph: str) -> str:
    """As many of its last sentences as one hears out before a question."""
    sentences = _sentences(paragraph)
    while len(sentences) > 1 and len(" ".join(sentences)) > LONG:
        sentences.pop(0)
    return " ".join(sentences)


def _telling(texts: list[str]) -> str:
    """The last sentence with words in bold, or the first one; with the next if it is short."""
    paragraphs = [_sentences(_unmarked(text)) for text in texts if not ITEM.match(text)]
    pairs = [pair for one in paragraphs for pair in zip(one, [*one[1:], ""], strict=True)]
    pairs = [(one, following) for one, following in pairs if not one.endswith((":", "is"))]
    if not pairs:
        return ""
    one, following = ([pair for pair in pairs if "**" in pair[0]] or pairs[:1])[-1]
    return f"{one} {following}" if len(one) < SHORT else one


def _unmarked(text: str) -> str:
    """A note on one network, whose first words are in bold, without the bold."""
    return re.sub(r"^\*\*((?:With|If) .*?)\*\*", r"\1", text)


def _figures(cell: NotebookNode) -> dict[str, Picture]:
    """The figures of a cell, by the names in their captions."""
    found: dict[str, Picture] = {}
    picture = None
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        for kind in ENDINGS.keys() & data.keys():
            alt = output.metadata.get(kind, {}).get("alt", "")
            content = base64.b64decode(data[kind])
            if "photograph" in output.metadata:
                last = list(found.values())[-1]
                last.photographs.append(Picture(content, kind, "", credits=last.credits))
            else:
                picture = Picture(content, kind, alt)
        if picture and (caption := CAPTION.fullmatch(data.get("text/markdown", ""))):
            name, picture.caption, credits = caption.groups()
            picture.credits = CREDIT.findall(credits or "")
            found[name] = picture
    return found


def _printed(cell: NotebookNode) -> str:
    """What a cell printed, or the error it ended with."""
    texts = []
    for output in cell.outputs:
        if output.get("name") == "stdout":
            texts.append(output.text)
        elif output.output_type == "error":
            texts.append(f"{output.ename}: {output.evalue}")
    return "".join(texts).rstrip()


def write_slides(talks: Mapping[str, Talk], folder: Path) -> None:
    """Write a deck for each talk, and an index of them.

    Args:
        talks: by the names of their files, in the order of the index.
        folder: where `index.html` and the decks are written; made if need be.
    """
    shutil.rmtree(folder / "pictures", ignore_errors=True)  # Those of older outputs.
    (folder / "pictures").mkdir(parents=True)
    (folder / "reveal").mkdir(exist_ok=True)
    reveal = files("sphinx_revealjs") / "_static" / "revealjs"
    for name in REVEAL:
        (folder / "reveal" / Path(name).name).write_bytes((reveal / name).read_bytes())
    shutil.copy(PAGES / "slides.css", folder)
    lines = []
    for name, talk in talks.items():
        slides = [_title_slide(talk)]
        slides += [_slide(slide, folder) for slide in talk.slides[1:]]
        slides.append(_credit_slide(talk))
        page = PAGE.format(title=escape(talk.title), slides="\n".join(slides))
        (folder / f"{name}.html").write_text(page, "utf-8")
        lines.append(
            f'<li><a href="{name}.html">{name[:2]} · {escape(talk.title)}</a>, '
            f"{len(slides)} slides</li>"
        )
    index = INDEX.format(course=COURSE, decks="\n".join(lines))
    (folder / "index.html").write_text(index, "utf-8")


def _title_slide(talk: Talk) -> str:
    slide = talk.slides[0]
    question, *notes = [slide.words, *slide.after] if slide.words else slide.after
    return (
        f'<section class="title"><p class="section">{COURSE}</p>'
        f"<h1>{_inline(talk.title)}</h1><p>{_inline(question)}</p>{_notes(notes)}</section>"
    )


def _slide(slide: Slide, folder: Path) -> str:
    """A slide in HTML; its picture is written."""
    words = slide.words
    if not words and (slide.picture or slide.printed) and not slide.question:
        words = _telling(slide.after or slide.before)
    parts = [f'<p class="section">{_inline(slide.section)}</p>']
    if words:
        kind = "words long" if len(words) > 190 else "words"
        parts.append(f'<div class="{kind}">{_html(_unmarked(words))}</div>')
    for sentence, formula in slide.formulas:
        parts.append(f"<p>{_inline(sentence)}</p>{_html(formula)}")
    if slide.question:
        kind = "question long" if len(slide.question) > 120 else "question"
        parts.append(f'<p class="{kind}"><b>Predict</b> {_inline(slide.question)}</p>')
    if slide.items:
        parts.append(_html(slide.items))
    if slide.answers:
        parts.append(_bars(slide.answers))
    if slide.printed:
        longest = max(map(len, slide.printed.splitlines()))
        parts.append(f'<pre style="--longest: {longest}">{escape(slide.printed)}</pre>')
    notes = _notes([*slide.before, *slide.after])
    if not slide.picture:
        kind = "plain several" if len(slide.formulas) > 1 else "plain"
        return f"<section class='{kind}'><div>{''.join(parts)}</div>{notes}</section>"
    kind = "beside" if _is_better_beside(slide) else "below"
    picture = _picture(slide.picture, folder)
    return f'<section class="{kind}"><div>{"".join(parts)}</div>{picture}{notes}</section>'


def _is_better_beside(slide: Slide) -> bool:
    """Whether a picture is larger beside the words than below them."""
    with Image.open(io.BytesIO(slide.picture.content)) as picture:
        width, height = picture.size
    if slide.answers:
        return True
    beside, below = (min(room[0] / width, room[1] / height) for room in (BESIDE, BELOW))
    return beside > below


def _picture(picture: Picture, folder: Path) -> str:
    """Write a picture, named after what is in it, and show it."""
    name = f"{hashlib.sha256(picture.content).hexdigest()[:16]}.{ENDINGS[picture.kind]}"
    (folder / "pictures" / name).write_bytes(picture.content)
    return f'<img src="pictures/{name}" alt="{escape(picture.alt)}">'


def _bars(answers: list[tuple[str, str]]) -> str:
    """Answers with their probabilities as horizontal bars."""
    rows = [
        f"<span>{escape(label.replace('_', ' '))}</span><b>{share}</b>"
        f'<i style="--share: {share}"></i>'
        for label, share in answers
    ]
    return f'<div class="answers">{"".join(rows)}</div>'


def _notes(texts: Sequence[str]) -> str:
    text = _html("\n\n".join(texts)).replace("<pre>", '<pre style="white-space: pre-wrap">')
    return f'<aside class="notes">{text}</aside>'


def _html(text: str) -> str:
    """Markdown in HTML, without its links: they lead to notebooks, or off the slide."""
    return _tidy(MARKDOWN.render(text))


def _inline(text: str) -> str:
    return _tidy(MARKDOWN.renderInline(text))


def _tidy(text: str) -> str:
    """Without links, and with each formula on one line with the point after it."""
    text = re.sub(r"</?a\b[^>]*>", "", text)
    return re.sub(r'<span class="math inline">(.*?)</span>([).,:;]*)', r"<span>\1\2</span>", text)


def _credit_slide(talk: Talk) -> str:
    """All pictures of a talk, those of one author and licence together, as small as need be."""
    titles: dict[str, dict[str, None]] = {}
    for slide in talk.slides:
        for names, author in slide.picture.credits if slide.picture else ():
            titles.setdefault(author, {}).update(dict.fromkeys(names.split("; ")))
    lines = [f"{'; '.join(names)}: {author}" for author, names in titles.items()]
    text = " · ".join([*map(MARKDOWN.renderInline, lines), CHANGES])
    size = min(20, (850_000 / len(re.sub("<[^>]*>", "", text))) ** 0.5)
    return (
        '<section><p class="section">Credits</p>'
        f'<p class="credits" style="font-size: {size:.1f}px">{text}</p></section>'
    )


def run(path: Path, talk: Talk) -> NotebookNode:
    """A notebook, run anew as far as its talk goes, with figures drawn for slides."""
    notebook = nbformat.read(path, as_version=4)
    n_cells = talk.last_cell + 1
    begun = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(START), *notebook.cells[:n_cells]]
    )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        nbformat.write(begun, copy)
        notebook.cells[:n_cells] = run_notebook(copy, None, SHARE_OF_THE_CORES).cells[1:]
    return notebook


def main(arguments: list[str] | None = None) -> None:
    """Run the notebooks that have a talk and write their decks into `build/slides`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", help="beginnings of their names, as 02; none: all")
    chosen = tuple(parser.parse_args(arguments).notebooks)
    folder = Path("build", "slides")
    plans = {name: plan for name, plan in read_plans().items() if name.startswith(chosen or ("",))}
    if not plans:
        parser.error(f"no talk begins with {' or '.join(chosen)}")
    paths = [NOTEBOOKS / f"{name}.ipynb" for name in plans]
    # First as committed: what is wrong with a plan is known before anything runs.
    try:
        talks = [Talk(nbformat.read(path, 4), plans[path.stem]) for path in paths]
    except ValueError as error:
        sys.exit(str(error))
    print(f"Running {len(paths)} notebooks, {AT_A_TIME} at a time; all six take some minutes.")
    decks = {}
    with ThreadPoolExecutor(AT_A_TIME) as pool:  # Their kernels are processes of their own.
        for path, notebook in zip(paths, pool.map(run, paths, talks), strict=True):
            decks[path.stem] = Talk(notebook, plans[path.stem])
            print(f"{path.stem}: {len(decks[path.stem].slides) + 1} slides", flush=True)
    write_slides(decks, folder)
    print(f"Open {folder / 'index.html'}")
    private = [name for name, talk in decks.items() if NOT_OURS in _credit_slide(talk)]
    if private:
        print(f"Not to be published: {', '.join(private)}, with a photograph of data/originals.")


def read_plans() -> dict[str, dict[str, Any]]:
    """The tables of `talks.toml`, by the names of the notebooks."""
    return tomllib.loads((PAGES / "talks.toml").read_text("utf-8"))


if __name__ == "__main__":
    main()
