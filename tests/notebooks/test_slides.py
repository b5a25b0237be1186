"""The slides: what they hold, and that a browser shows them whole and offline."""

import base64
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from browsing import browsing, needs_browser, opened
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from scripts import load_script

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("notebooks/[0-9]*.ipynb"))
write_slides = load_script("notebooks/pages/slides.py").write_slides
NAMES = [path.stem for path in NOTEBOOKS]
CREDIT = "[A picture of something](https://example.org/a/long/address), somebody else, CC BY-SA 4.0"


def figure(size, kind, caption, n_credits):
    """Two outputs, as `show_figure` makes them."""
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind)
    mime = f"image/{kind}"
    data = {mime: base64.b64encode(file.getvalue()).decode()}
    lines = "".join(f"- {i} {CREDIT}\n" for i in range(n_credits))
    text = f"{caption}\n\n<details><summary>Credits</summary>\n\n{lines}\n</details>"
    return [
        new_output("display_data", data, metadata={mime: {"alt": "A sheet & nothing else"}}),
        new_output("display_data", {"text/markdown": text}),
    ]


def shown(cells, folder):
    """The slides of a notebook with these cells, in HTML, one string a slide."""
    folder.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells), folder / "sample.ipynb")
    write_slides([folder / "sample.ipynb"], folder / "slides")
    return re.findall("<section>.*?</section>", (folder / "slides/sample.html").read_text(), re.S)


@pytest.fixture
def cells():
    """A notebook's cells with all that makes slides."""
    tagged = {"tags": ["slide"]}
    text = "African_elephant 0.54\ntusker   logit  4.20  probability 0.30\n"
    answers = new_output("stream", name="stdout", text=text)
    others = new_output("stream", name="stdout", text="koala  largest cell 0.71\n")
    return [
        new_markdown_cell('# The title\n\n<a id="wide"></a>\n## <a id="b"></a>A *wide* one'),
        new_code_cell("", outputs=figure((1600, 300), "jpeg", "Wide.", 30), metadata=tagged),
        new_code_cell("", outputs=figure((900, 900), "png", "Not shown.", 1)),
        new_markdown_cell("```\n# No heading\n```"),
        new_code_cell("", outputs=[answers], metadata=tagged),
        new_markdown_cell("### A tall one " + 4 * "with a long heading "),
        new_code_cell(
            "", outputs=[others, *figure((900, 900), "png", 40 * "Long. ", 2)], metadata=tagged
        ),
    ]


def test_tagged_cells_become_slides_with_the_heading_before_them(cells, tmp_path):
    first, wide, answers, tall, *credits = shown(cells, tmp_path)
    assert "<h1>The title</h1>" in first
    assert "<h2>A <em>wide</em> one</h2>" in wide
    assert 'alt="A sheet &amp; nothing else"' in wide
    assert '<div class="caption"><p>Wide.</p>' in wide
    assert "<h2>A <em>wide</em> one</h2>" in answers
    assert "<span>African elephant</span>" in answers
    assert '<i style="--share: 0.54"></i><b>0.54</b>' in answers
    assert "<span>tusker</span>" in answers
    assert "<h2>A tall one" in tall  # Its cell's text is no list of answers.
    assert all("<h2>Credits</h2>" in slide for slide in credits)
    assert len(credits) > 1


def test_each_credit_comes_once(cells, tmp_path):
    text = "".join(shown(cells, tmp_path))
    assert text.count("somebody else") == 30
    assert text.count("<li>0 <a") == 1


def test_a_tagged_cell_without_a_picture_is_refused(tmp_path):
    stream = new_output("stream", name="stdout", text="logit 20.89\n")
    cell = new_code_cell("", outputs=[stream], metadata={"tags": ["slide"]})
    with pytest.raises(ValueError, match=r"^sample\.ipynb, cell 0: .*no picture"):
        shown([cell], tmp_path)
    with pytest.raises(ValueError, match=r"^notebooks: got none"):
        write_slides([], tmp_path)


def test_pictures_of_older_outputs_go(cells, tmp_path):
    shown(cells, tmp_path)
    shown(cells[:2], tmp_path)
    assert len(list((tmp_path / "slides" / "pictures").iterdir())) == 1


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """The folder that the command writes, moved to where nothing else is."""
    root = tmp_path_factory.mktemp("slides")
    (root / "notebooks").symlink_to(ROOT / "notebooks")
    command = [sys.executable, ROOT / "notebooks/pages/slides.py"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d+ slides: open build.slides.index\.html\n", done.stdout)
    return Path(shutil.move(root / "build" / "slides", root / "elsewhere"))


@pytest.fixture(scope="module")
def browser():
    with browsing() as browser:
        yield browser


def turn(page):
    """Turn all slides with the arrow key; yield at each what is not seen whole."""
    n_slides = page.evaluate("Reveal.getTotalSlides()")
    for number in range(n_slides):
        assert page.evaluate("Reveal.getIndices().h") == number
        page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
        yield page.evaluate(CUT)
        page.keyboard.press("ArrowRight")
    assert page.evaluate("Reveal.getIndices().h") == n_slides - 1
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("Reveal.getIndices().h") == n_slides - 2


# What of the present slide sticks out of the screen or of its own box, or is too small to see.
CUT = """() => {
    const slide = Reveal.getCurrentSlide();
    const cut = [...slide.querySelectorAll("*")].filter(element => {
        const box = element.getBoundingClientRect();
        return box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight
            || (element.tagName === "IMG" && (box.height < 300 || !element.naturalWidth));
    });
    if (slide.scrollHeight > slide.clientHeight + 1) cut.push(slide);
    return cut.map(element => element.outerHTML.slice(0, 200));
}"""


@needs_browser
@pytest.mark.parametrize("name", NAMES)
def test_slides_turn_and_nothing_is_cut(slides, browser, name):
    with opened(browser, f"{slides.as_uri()}/{name}.html") as page:
        assert [cut for cut in turn(page) if cut] == []


@needs_browser
def test_a_full_slide_is_not_cut_either(cells, tmp_path, browser):
    shown(cells, tmp_path)
    with opened(browser, f"{tmp_path.as_uri()}/slides/sample.html") as page:
        assert [cut for cut in turn(page) if cut] == []


@needs_browser
def test_answers_are_bars_of_their_length(slides, browser):
    with opened(browser, f"{slides.as_uri()}/00_start_here.html") as page:
        # Only of slides near the one that is shown has the browser measured anything.
        bars = page.evaluate("""[...document.querySelectorAll(".answers i")]
            .filter(bar => bar.offsetWidth > 0).map(bar => {
                const width = (...part) => parseFloat(getComputedStyle(bar, ...part).width);
                return [width("::before") / width(), +bar.nextElementSibling.innerText];
            })""")
    assert len(bars) >= 3
    for length, printed in bars:
        assert length == pytest.approx(printed, abs=0.01)


@needs_browser
def test_printed_each_slide_is_a_page(slides, browser):
    n_slides = (slides / "01_cam_vgg16.html").read_text("utf-8").count("<section>")
    with opened(browser, f"{slides.as_uri()}/01_cam_vgg16.html?print-pdf") as page:
        page.wait_for_function(f"document.querySelectorAll('.pdf-page').length === {n_slides}")
        cut = page.evaluate("""[...document.querySelectorAll(".pdf-page > section")].filter(
            section => section.scrollHeight > section.parentElement.clientHeight + 1).length""")
        pages = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type /Page\b", pages)) == n_slides
    assert cut == 0


@needs_browser
def test_the_index_leads_to_every_deck(slides, browser):
    with opened(browser, f"{slides.as_uri()}/index.html") as page:
        links = page.evaluate("[...document.links].map(link => link.getAttribute('href'))")
    assert links == [f"{name}.html" for name in NAMES]
