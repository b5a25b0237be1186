"""The site, made of the committed outputs: what its pages hold, and how a browser shows them."""

import base64
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import warnings
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import browsing, needs_browser, opened
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from sphinx.cmd.build import build_main

import camutils

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.ipynb"))
SOLUTIONS = sorted(FOLDER.glob("solutions/*.ipynb"))
PAGES = [path.relative_to(FOLDER).with_suffix("").as_posix() for path in NOTEBOOKS + SOLUTIONS]
OTHERS = ["teaching", "reproduction", "api"]
# All solutions look alike.
SEEN = pytest.mark.parametrize("name", ["index", *OTHERS, "search", *PAGES[: len(NOTEBOOKS) + 1]])
PICTURES = ("image/png", "image/jpeg")
PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


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

    def all(self, tag, attribute, **where):
        """What an attribute says in the tags that have it and those named with it."""
        return [
            found[attribute]
            for name, found in self.tags
            if name == tag and attribute in found and where.items() <= found.items()
        ]


def build(source, folder):
    """A site, with warnings as errors and without executing anything.

    In this process, which has loaded PyTorch already.
    """
    options = ["-q", "-W", "--keep-going", "-D", "nb_execution_mode=off"]
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()) as said:
        warnings.simplefilter("ignore")  # What will change in Sphinx concerns its extensions.
        status = build_main([str(source), str(folder), *options])
    assert (status, said.getvalue()) == (0, "")
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build(FOLDER, tmp_path_factory.mktemp("site"))


def cells_of(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells


def prose_of(name):
    """The text of a notebook, without code."""
    text = "\n\n".join(cell.source for cell in cells_of(name) if cell.cell_type == "markdown")
    return re.sub("```.*?```|`[^`]+`", "", text, flags=re.DOTALL)


def test_pages_are_in_order_and_have_the_notebooks_own_titles(site):
    index = Page(site / "index.html").html
    listed = re.findall(r'toctree-l1"><a class="reference internal" href="(.*?)">(.*?)</a>', index)
    titles = {page: re.sub("<[^>]*>", "", title) for page, title in listed}
    assert list(titles) == [f"{name}.html" for name in [*PAGES, *OTHERS]]
    for name in PAGES:
        heading = re.search("^# (.*)$", "\n".join(c.source for c in cells_of(name)), re.MULTILINE)
        letters = re.sub(r"\W", "", heading[1])
        assert re.sub(r"\W|&#\d+;", "", titles[f"{name}.html"]) == letters
    sections = re.findall(r'<span class="caption-text">([^<]+)<', index)
    assert list(dict.fromkeys(sections)) == ["Notebooks", "Solutions", "For teachers", "Reference"]


def test_neighbours_are_one_click_away(site):
    for before, after in pairwise(path.stem for path in NOTEBOOKS):
        page = Page(site / f"{before}.html")
        assert page.all("a", "href", **{"class": "right-next"}) == [f"{after}.html"]
        page = Page(site / f"{after}.html")
        assert page.all("a", "href", **{"class": "left-prev"}) == [f"{before}.html"]


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_is_there_with_its_alternative_text(site, name):
    outputs = [output for cell in cells_of(name) for output in cell.get("outputs", [])]
    expected = [
        output.metadata.get(kind, {}).get("alt", "")
        for output in outputs
        for kind in PICTURES
        if kind in output.get("data", {})
    ]
    page = Page(site / f"{name}.html")
    assert page.all("img", "alt") == expected
    assert all((page.path.parent / source).is_file() for source in page.all("img", "src"))


@pytest.mark.parametrize("name", PAGES)
def test_every_formula_is_mathml(site, name):
    blocks = re.findall(r"\$\$.+?\$\$", prose_of(name), re.DOTALL)
    inline = re.findall(r"(?<!\$)\$[^$]+\$(?!\$)", prose_of(name))
    page = Page(site / f"{name}.html")
    assert len(page.all("math", "display", display="block")) == len(blocks)
    assert page.html.count("<math") == len(blocks) + len(inline)


def test_every_public_name_is_in_the_reference(site):
    names = {name for name in dir(camutils) if not name.startswith("_")}
    names -= {name for name in names if isinstance(getattr(camutils, name), ModuleType)}
    assert len(names) > 15
    ids = {found.get("id") for _, found in Page(site / "api.html").tags}
    assert {f"camutils.{name}" for name in names} <= ids


def assert_links_lead_somewhere(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    places = {path: {a.get("id") for _, a in page.tags} for path, page in pages.items()}
    for path, page in pages.items():
        for link in page.all("a", "href"):
            file, _, place = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            if not link.startswith("http"):
                assert target.is_file(), (path.name, link)
                assert not place or place in places[target], (path.name, link)


def test_links_lead_somewhere(site):
    assert_links_lead_somewhere(site)


def test_the_site_is_light(site):
    sizes = {path.relative_to(site).parts[0]: 0 for path in site.rglob("*")}
    for path in site.rglob("*"):
        sizes[path.relative_to(site).parts[0]] += path.stat().st_size
    assert sum(sizes.values()) - sizes["_static"] - sizes[".doctrees"] < 10e6


def shown_picture(colour, kind, alt, **more):
    """An output with a picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (300, 100), colour).save(file, kind)
    data = {f"image/{kind}": base64.b64encode(file.getvalue()).decode()} | more
    return new_output("display_data", data, metadata={f"image/{kind}": {"alt": alt}})


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A site of two notebooks with everything that ours may hold."""
    root = tmp_path_factory.mktemp("sample")
    source = root / "notebooks"
    shutil.copytree(FOLDER / "_static", source / "_static")
    shutil.copy(FOLDER / "conf.py", source)
    (source / "index.md").write_text("# Home\n\n```{toctree}\n:glob:\n\n[0-9]*\n```\n")
    (root / "README.md").write_text("# Elsewhere")
    (root / "table.csv").write_text("a,b")
    credits = "<details><summary>Credits</summary>\n\n[Red](https://example.org)\n\n</details>"
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "a"}}
    outputs = [
        shown_picture("red", "png", 'A "red" sheet & nothing else'),
        new_output("display_data", {"text/markdown": f"**Figure 1.** A sheet.\n\n{credits}"}),
        shown_picture("blue", "jpeg", "A blue sheet in JPEG"),
        shown_picture("green", "png", "A green sheet behind a widget", **widget),
        new_output("stream", name="stdout", text="words " * 40),
    ]
    first = """# First

[A](1_second.ipynb#place), [b](#near), [c](../table.csv), [d](../README.md), [e](../README.md#f),
[g](../notebooks) and [h](https://example.org).

| one | two | three |
|---|---|---|
| a cell of many words that asks for more than its share of a phone | DenseNet201 | elephants |

A formula
$$\\hat p = \\arg\\max_p M(p)$$
inside a paragraph that costs $5."""
    cells = [
        new_markdown_cell(first),
        new_code_cell("x = " + 84 * "1", outputs=outputs),  # As long as ruff.toml allows.
        new_markdown_cell('<a id="near"></a>\n## A heading\n\nText.'),
    ]
    state = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {}}}}
    notebook = new_notebook(cells=cells, metadata=PYTHON | {"widgets": state})
    nbformat.write(notebook, source / "0_first.ipynb")
    second = '# Second\n\n<a id="place"></a>\n## Where it leads\n\n[Back](0_first.ipynb#near)'
    nbformat.write(new_notebook(cells=[new_markdown_cell(second)]), source / "1_second.ipynb")
    return build(source, root / "build")


def test_a_page_holds_all_that_a_notebook_may_hold(sample):
    page = Page(sample / "0_first.html")
    assert page.all("img", "alt") == [
        'A "red" sheet & nothing else',
        "A blue sheet in JPEG",
        "A green sheet behind a widget",
    ]
    assert "<details><summary>Credits</summary>\n<p><a " in page.html
    assert "jupyter.widget" not in page.html
    assert page.all("math", "display") == ["block"]
    assert page.html.count(">arg<") == 1
    assert "that costs $5." in page.html
    assert {"1_second.html#place", "#near"} < set(page.all("a", "href"))
    assert page.all("a", "href", download="")[0].endswith("/table.csv")
    assert not re.search("<a [^>]*README", page.html)
    assert_links_lead_somewhere(sample)


def test_the_command_executes_with_a_line_each_and_fails_with_a_notebook(tmp_path):
    source = tmp_path / "notebooks"
    shutil.copytree(FOLDER / "_static", source / "_static")
    shutil.copy(FOLDER / "conf.py", source)
    (source / "index.md").write_text("# Home\n\n```{toctree}\n:glob:\n\n[0-9]*\n```\n")
    for name, code in {
        "0_good": "import os; os.environ['CAMUTILS_WEIGHTS']",
        "1_bad": "1 / 0",
    }.items():
        cells = [new_markdown_cell(f"# {name}"), new_code_cell(code)]
        nbformat.write(new_notebook(cells=cells, metadata=PYTHON), source / f"{name}.ipynb")
    command = [sys.executable, "-m", "sphinx", source, tmp_path / "build"]
    setting = {k: value for k, value in os.environ.items() if k != "CAMUTILS_WEIGHTS"}
    done = subprocess.run(command, capture_output=True, text=True, env=setting)
    assert done.returncode == 1
    assert re.findall(r"(\w+)\.ipynb: Execut", done.stdout) == ["0_good"]
    told = [line for line in done.stderr.splitlines() if line]
    assert len(told) == 2
    assert all("1_bad.ipynb: WARNING: " in line for line in told)
    assert "embedded" in (tmp_path / "build" / "0_good.html").read_text("utf-8")
    assert "ZeroDivisionError" in (tmp_path / "build" / "1_bad.html").read_text("utf-8")


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


def assert_accessible(page, *rules):
    """axe-core finds nothing serious."""
    page.evaluate(EACH_COLOUR_ONCE)  # With thousands of equal tokens of code it takes 15 s.
    options = {"preload": False} | ({"runOnly": rules} if rules else {})
    assert [
        (finding["id"], [node["html"] for node in finding["nodes"]])
        for finding in Axe().run(page, options=options).response["violations"]
        if finding["impact"] in ("serious", "critical")
    ] == []


@needs_browser
@SEEN
def test_a_page_on_a_phone_on_a_laptop_and_in_dark_mode(site, browser, name):
    with opened(browser, f"{site.as_uri()}/{name}.html", width=390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(BROKEN_WORDS) == []
        assert_accessible(page, "scrollable-region-focusable")

        page.set_viewport_size({"width": 1280, "height": 720})
        page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
        assert all(page.evaluate("[...document.images].map(image => image.naturalWidth > 1)"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        assert_accessible(page)

        page.set_viewport_size({"width": 1920, "height": 1080})
        widths = "[...document.querySelectorAll('article p')].map(p => p.clientWidth)"
        assert max(page.evaluate(widths), default=0) < 850

        page.emulate_media(color_scheme="dark")
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        page.wait_for_timeout(300)  # Transitions of colours.
        looks = page.evaluate("""[...document.images].map(image => {
            const look = getComputedStyle(image);
            return [look.filter, look.backgroundColor];
        })""")
        assert all(look == ["none", "rgb(255, 255, 255)"] for look in looks)
        assert_accessible(page, "color-contrast")


@needs_browser
def test_all_that_a_notebook_may_hold_fits_a_laptop_and_a_phone(sample, browser):
    address = f"{sample.as_uri()}/0_first.html"
    with opened(browser, address) as page:
        code = "[...document.querySelectorAll('pre')].map(e => e.scrollWidth <= e.clientWidth)"
        assert page.evaluate(code) == [True, True]
        assert_accessible(page)
    with opened(browser, address, width=390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(BROKEN_WORDS) == []


@needs_browser
def test_search_finds_without_the_web(site, browser):
    with opened(browser, f"{site.as_uri()}/search.html?q=pooling") as page:
        page.wait_for_selector("#search-results li")
