"""The site: what its pages hold, and how a browser shows them."""

import contextlib
import io
import re
import shutil
import warnings
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import browsing, needs_browser, opened
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sphinx.cmd.build import build_main

import camutils

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = [*sorted(FOLDER.glob("[0-9]*.ipynb")), *sorted(FOLDER.glob("solutions/*.ipynb"))]
PAGES = [path.relative_to(FOLDER).with_suffix("").as_posix() for path in NOTEBOOKS]
TEXTS = sorted(path.stem for path in FOLDER.glob("*.md"))
UNLISTED = {"index", "exam"}  # Students are not led to the second one.
SEEN_IN_FULL = ["index", "03_gradcam_densenet201_iguanas"]
# The first solutions stand for all: they are made of the same parts.
SEEN_ONCE = [name for name in [*PAGES[:8], *TEXTS, "search"] if name not in SEEN_IN_FULL]
ON_PAPER = ["04_how_good_is_a_map", "reproduction"]
PICTURES = ("image/png", "image/jpeg")


class Page(HTMLParser):
    """A page's tags with their attributes, in their order."""

    def __init__(self, path):
        super().__init__()
        self.tags = []
        self.path = path
        self.html = path.read_text("utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, tag, attribute):
        return [found[attribute] for name, found in self.tags if name == tag and attribute in found]


def build(source, folder, *options):
    """Exit status, output and warnings of sphinx-build.

    In this process, which has loaded PyTorch already.
    """
    out, err = io.StringIO(), io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(out):
        warnings.simplefilter("ignore")  # What will change in Sphinx concerns its extensions.
        with contextlib.redirect_stderr(err):
            status = build_main(["--no-color", *options, str(source), str(folder)])
    return status, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The course's, with its committed outputs; a warning, as of a broken link, is an error."""
    folder = tmp_path_factory.mktemp("site")
    status, _, said = build(FOLDER, folder, "-W", "--keep-going", "-D", "nb_execution_mode=off")
    assert (status, said) == (0, "")
    return folder


def cells_of(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells


def test_every_page_is_in_the_navigation_and_the_notebooks_in_their_order(site):
    index = Page(site / "index.html").html
    listed = re.findall(r'toctree-l1"><a class="reference internal" href="(.*?)\.html"', index)
    assert set(listed) == {*PAGES, *TEXTS} - UNLISTED
    assert [name for name in dict.fromkeys(listed) if name in PAGES] == PAGES


def test_a_card_of_each_notebook_has_a_picture_and_tells_the_minutes_of_its_head(site):
    index = Page(site / "index.html").html
    cards = re.findall(r'<div class="sd-card .*?</a>', index, re.DOTALL)
    cards = {re.search('href="(.+?).html"', card)[1]: card for card in cards}
    for name in [name for name in PAGES if "/" not in name]:
        head = cells_of(name)[0].source.replace("an hour", "60 minutes")
        minutes = re.search(r"\d+ minutes", head)[0]
        assert minutes in cards[name], name
        assert 'src="data:image/jpeg;base64,' in cards[name], name
    assert {"capstone", "explorer"} <= cards.keys()


def test_every_page_has_a_description_and_asks_the_web_for_nothing(site):
    for path in [*site.glob("*.html"), *site.glob("solutions/*.html")]:
        page = Page(path)
        if path.stem not in ("search", "explorer"):
            assert "description" in page.all("meta", "name"), path.name
        asked = [page.all(tag, "src") for tag in ("script", "img", "iframe", "source")]
        asked.append(page.all("link", "href"))
        assert not any(address.startswith(("http", "//")) for one in asked for address in one)
    for path in (site / "_static").rglob("*.css"):
        assert not re.search(r"""url\(["']?(http|//)""", path.read_text("utf-8")), path.name


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_is_there_with_its_alternative_text(site, name):
    expected = [
        output.metadata[kind]["alt"]
        for cell in cells_of(name)
        for output in cell.get("outputs", [])
        for kind in PICTURES
        if kind in output.get("data", {})
    ]
    page = Page(site / f"{name}.html")
    assert page.all("img", "alt") == expected
    assert all((page.path.parent / source).is_file() for source in page.all("img", "src"))


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_has_its_caption_and_no_open_exercise_is_scolded(site, name):
    shown = [
        re.match(r"\*\*Figure (\S+)\.\*\*", output.data["text/markdown"])[1]
        for cell in cells_of(name)
        for output in cell.get("outputs", [])
        if "text/markdown" in output.get("data", {})
    ]
    html = Page(site / f"{name}.html").html
    figures = re.findall("<figure.*?</figure>", html, re.DOTALL)
    assert [re.search('id="figure-(.+?)"', figure)[1] for figure in figures] == shown
    for figure, figure_name in zip(figures, shown, strict=True):
        assert "<img" in figure
        assert f"<strong>Figure {figure_name}.</strong>" in figure.partition("<figcaption>")[2]
    assert "Not yet: " not in html
    assert "In words" not in html  # The pictures say it in their alternative texts.


@pytest.mark.parametrize("name", PAGES)
def test_every_formula_is_mathml(site, name):
    text = "\n\n".join(cell.source for cell in cells_of(name) if cell.cell_type == "markdown")
    text = re.sub("```.*?```|`[^`]+`", "", text, flags=re.DOTALL)
    blocks = re.findall(r"\$\$.+?\$\$", text, re.DOTALL)
    inline = re.findall(r"(?<!\$)\$[^$]+\$(?!\$)", text)
    page = Page(site / f"{name}.html")
    assert page.all("math", "display").count("block") == len(blocks)
    assert page.html.count("<math") == len(blocks) + len(inline)


def test_every_public_name_is_in_the_reference(site):
    names = {name for name in dir(camutils) if not name.startswith("_")}
    names -= {name for name in names if isinstance(getattr(camutils, name), ModuleType)}
    ids = {found.get("id") for _, found in Page(site / "api.html").tags}
    assert {f"camutils.{name}" for name in names} <= ids


def test_links_lead_somewhere(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    places = {path: {a.get("id") for _, a in page.tags} for path, page in pages.items()}
    assert "explorer.html" in pages[site / "index.html"].all("a", "href")
    for path, page in pages.items():
        for link in page.all("a", "href"):
            file, _, place = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            if not link.startswith("http"):
                assert target.is_file(), (path.name, link)
                assert not place or place in places[target], (path.name, link)


SHEET = """
import base64, io
from IPython.display import display
from PIL import Image
file = io.BytesIO()
Image.new("RGB", (300, 100), "red").save(file, "png")
data = {"image/png": base64.b64encode(file.getvalue()).decode()}
data["application/vnd.jupyter.widget-view+json"] = {"model_id": "a"}
about = {"image/png": {"alt": 'A "red" sheet & nothing else'}}
display(data, metadata=about, raw=True)
print(6 * 7)
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A site of one notebook that runs and one that fails: its folder, and what was said."""
    root = tmp_path_factory.mktemp("executed")
    source = root / "notebooks"
    for folder in ("_static", "_templates"):
        shutil.copytree(FOLDER / folder, source / folder)
    shutil.copy(FOLDER / "conf.py", source)
    (source / "index.md").write_text("# Home\n\n```{toctree}\n:glob:\n\n[0-9]*\n```\n")
    text = """# First\n\n[There](1_bad.ipynb#where-it-leads), and a formula
$$\\hat p = \\arg\\max_p M(p)$$
inside a paragraph that costs $5."""
    old = [new_output("stream", name="stdout", text="An old result.")]
    sheet = new_code_cell(SHEET, outputs=old, metadata={"tags": ["hide-output"]})
    fails = new_code_cell("1 / 0", outputs=old)
    for name, cells in {
        "0_good": [new_markdown_cell(text), sheet],
        "1_bad": [new_markdown_cell("# Second\n\n## Where it leads\n\nHere."), fails],
    }.items():
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, source / f"{name}.ipynb")
    return root / "build", *build(source, root / "build")


def test_the_command_executes_with_a_line_each_and_fails_with_a_notebook(executed):
    _, status, told, warned = executed
    assert status == 1
    assert re.findall(r"^(\w+) executed in \d+ s$", told, re.MULTILINE) == ["0_good"]
    assert re.findall(r"(\w+) failed", warned) == ["1_bad"]
    assert "ZeroDivisionError" in warned


def test_a_page_shows_what_its_notebook_gave(executed):
    folder, *_ = executed
    page = Page(folder / "0_good.html")
    assert page.all("img", "alt") == ['A "red" sheet & nothing else']
    assert not any("widget" in kind for kind in page.all("script", "type"))
    assert page.all("math", "display") == ["block"]
    assert "that costs $5." in page.html
    assert "1_bad.html#where-it-leads" in page.all("a", "href")
    folded = re.search("<details.*?</details>", page.html, re.DOTALL)[0]
    assert "<img" in folded
    assert "42" in folded
    for name in ("0_good", "1_bad"):
        assert "An old result." not in (folder / f"{name}.html").read_text("utf-8")


@pytest.fixture(scope="module")
def browser():
    with browsing() as browser:
        yield browser


EACH_COLOUR_ONCE = """() => {
    const seen = new Set();
    for (const token of document.querySelectorAll(".highlight span")) {
        const look = token.className + Boolean(token.closest(".cell_output"));
        if (seen.has(look)) token.replaceWith(...token.childNodes);
        seen.add(look);
    }
}"""
BROKEN_WORDS = r"""() => {
    const broken = [];
    for (const cell of document.querySelectorAll("article :is(th, td)")) {
        const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) {
            for (const word of texts.currentNode.data.matchAll(/[\p{L}\p{N}_]+/gu)) {
                const range = document.createRange();
                range.setStart(texts.currentNode, word.index);
                range.setEnd(texts.currentNode, word.index + word[0].length);
                if (range.getClientRects().length > 1) broken.push(word[0]);
            }
        }
    }
    return broken;
}"""

CUT_OFF = """() => [...document.querySelectorAll("article :is(pre, table)")]
    .filter(one => one.scrollWidth > one.parentElement.clientWidth)
    .map(one => one.textContent.slice(0, 80))"""


def assert_fits(page, width):
    """Nothing sticks out, and no word of a table is broken."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(BROKEN_WORDS) == []


def assert_accessible(page, *rules):
    """axe-core finds nothing serious."""
    page.evaluate(EACH_COLOUR_ONCE)  # With thousands of equal tokens of code axe takes 15 s.
    options = {"preload": False, "resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = rules
    assert [
        (finding["id"], [node["html"] for node in finding["nodes"]])
        for finding in Axe().run(page, options=options).response["violations"]
        if finding["impact"] in ("serious", "critical")
    ] == []


@needs_browser
@pytest.mark.parametrize("name", SEEN_IN_FULL)
def test_a_page_in_all_widths_and_modes(site, browser, name):
    with opened(browser, f"{site.as_uri()}/{name}.html") as page:
        for width in (390, 768, 1400):
            page.set_viewport_size({"width": width, "height": 800})
            page.wait_for_timeout(100)
            assert_fits(page, width)
        for scheme, rules in (("light", []), ("dark", ["color-contrast"])):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
            page.wait_for_timeout(300)  # Transitions of colours.
            assert_accessible(page, *rules)
        assert page.locator("img").evaluate_all(
            "all => all.every(image => getComputedStyle(image).filter === 'none')"
        )  # Dark mode leaves figures as they are.


@needs_browser
@pytest.mark.parametrize("name", SEEN_ONCE)
def test_a_page_on_a_phone(site, browser, name):
    with opened(browser, f"{site.as_uri()}/{name}.html", width=390) as page:
        page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
        assert_fits(page, 390)
        assert_accessible(page)


@needs_browser
@pytest.mark.parametrize("name", ON_PAPER)
def test_a_page_on_paper(site, browser, name):
    with opened(browser, f"{site.as_uri()}/{name}.html", width=718) as page:  # A4.
        page.emulate_media(media="print")
        for hidden in (".bd-sidebar-primary", ".bd-header-article", ".copybtn", ".sections"):
            assert not page.locator(hidden).first.is_visible(), hidden
        assert page.evaluate(CUT_OFF) == []
        folded = page.locator("details.hide .cell_output")
        assert all(output.is_visible() for output in folded.all())


@needs_browser
def test_search_finds_the_explorer_without_the_web(site, browser):
    with opened(browser, f"{site.as_uri()}/search.html?q=explorer") as page:
        page.wait_for_selector("#search-results li")
        assert "explorer_page.html" in page.locator("#search-results").inner_html()
