"""The talks: what their slides hold, and that a browser shows them whole, legibly and offline."""

import base64
import io
import re

import matplotlib
import nbformat
import pytest
from browsing import browsing, needs_browser, opened
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from scripts import ROOT, load_script

from camutils import show_images
from course import figures

slides = load_script("notebooks/pages/slides.py")
drawing = load_script("notebooks/pages/slide_figures.py")
PLANS = slides.read_plans()
CREDIT = (
    "[Something](<https://example.org/an/address>): somebody, [CC0-1.0](<https://example.org>)."
)


def picture(size):
    file = io.BytesIO()
    Image.new("L", size, 128).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def figure(name, size=(1000, 400), photographs=0):
    """What `show_figure` leaves, and the photographs that it shows again for slides."""
    caption = f"**Figure {name}.** A caption.\n\n<details>In words.\n\n- {CREDIT}\n\n</details>"
    outputs = [
        new_output("display_data", {"image/png": picture(size)}),
        new_output("display_data", {"text/markdown": caption}),
    ]
    metadata = {"photograph": 1}
    again = new_output("display_data", {"image/png": picture((1000, 750))}, metadata=metadata)
    return outputs + photographs * [again]


def as_drawn_for_slides(notebook):
    """A committed notebook whose figures are blank, and as large as they are drawn for slides."""
    for cell in notebook.cells:
        outputs = []
        for output in cell.get("outputs", []):
            outputs.append(output)
            data = output.get("data", {})
            for kind in {"image/png", "image/jpeg"} & data.keys():
                width, height = Image.open(io.BytesIO(base64.b64decode(data.pop(kind)))).size
                room = drawing.BELOW if width / height > 1.5 else drawing.BESIDE
                scale = drawing.SHARPNESS * min(room[0] / width, room[1] / height)
                data["image/png"] = picture((round(scale * width), round(scale * height)))
            if "**Figure" in data.get("text/markdown", ""):
                outputs += figure("", photographs=6)[2:]
        cell["outputs"] = outputs
    return notebook


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All decks."""
    folder = tmp_path_factory.mktemp("slides")
    talks = {}
    for name, plan in PLANS.items():
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        talks[name] = slides.Talk(as_drawn_for_slides(notebook), plan)
    slides.write_slides(talks, folder)
    return folder


@pytest.fixture(scope="module")
def browser():
    with browsing() as browser:
        yield browser


def sections(page):
    return re.findall("<section.*?</section>", page, re.DOTALL)


@pytest.mark.parametrize("name", PLANS)
def test_a_talk_asks_before_it_shows_and_ends_with_its_credits(folder, name):
    found = sections((folder / f"{name}.html").read_text("utf-8"))
    assert 12 <= len(found) <= 20
    assert 'class="title"' in found[0]
    assert ["Credits</p>" in slide for slide in found] == [False] * (len(found) - 1) + [True]
    assert sum('class="question' in slide for slide in found) >= 4
    assert sum("<img" in slide for slide in found) >= 5
    assert sum('class="math block"' in slide for slide in found) >= (name[:2] in ("01", "02", "03"))
    notes = [re.search('(?s)<aside class="notes">(.*)</aside>', slide) for slide in found[:-1]]
    assert sum(len(note[1]) > 100 for note in notes) >= 0.8 * len(notes)


# What sticks out of each slide, and how its pictures are scaled.
LOOK = """() => [...Array(Reveal.getTotalSlides()).keys()].map(number => {
    Reveal.slide(number);
    const slide = Reveal.getCurrentSlide();
    const cut = [...slide.querySelectorAll(":not(.notes, .notes *)")].filter(element => {
        const box = element.getBoundingClientRect();
        return box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight
            || element.tagName === "PRE" && element.scrollWidth > element.clientWidth + 1;
    });
    const scales = [...slide.querySelectorAll("img")].map(image => Math.min(
        image.clientWidth / image.naturalWidth, image.clientHeight / image.naturalHeight));
    return [cut.map(element => element.outerHTML.slice(0, 200)), scales, slide.clientHeight];
})"""


@needs_browser
@pytest.mark.parametrize("name", PLANS)
def test_nothing_is_cut_and_labels_are_legible(folder, browser, name):
    least = 14 / (drawing.SMALLEST * drawing.INCH / 72)  # Pixels of what was meant for 16.
    with opened(browser, f"{(folder / name).as_uri()}.html") as page:
        page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
        for number, (cut, scales, height) in enumerate(page.evaluate(LOOK), 1):
            assert cut == []
            assert height == 720
            assert [one for one in scales if one * drawing.SHARPNESS < least] == [], number


@needs_browser
def test_the_speaker_sees_notes_without_the_web(folder, browser):
    with opened(browser, (folder / "02_gradcam_vgg19_elephants.html").as_uri()) as page:
        with page.expect_popup() as popup:
            page.keyboard.press("s")
        speaker = popup.value
        speaker.wait_for_function("document.body.innerText.includes('Recall.')")
        page.keyboard.press("ArrowRight")
        speaker.wait_for_function("document.body.innerText.includes('We ask for VGG19')")


@needs_browser
def test_printed_each_slide_is_a_page_and_so_are_its_notes(folder, browser):
    found = sections((folder / "01_cam_vgg16.html").read_text("utf-8"))
    address = (folder / "01_cam_vgg16.html").as_uri()
    with opened(browser, f"{address}?print-pdf&showNotes=separate-page") as page:
        page.wait_for_function(f"document.querySelectorAll('.pdf-page').length === {len(found)}")
        low = page.evaluate("""[...document.querySelectorAll(".pdf-page")].filter(page =>
            [...page.querySelectorAll("img")].some(image => image.clientHeight < 250)
            || page.querySelector("section").scrollHeight > page.clientHeight + 1).length""")
        pages = page.pdf(prefer_css_page_size=True)
    assert low == 0
    assert len(re.findall(rb"/Type /Page\b", pages)) > 1.7 * len(found)


@pytest.fixture
def cells():
    """A notebook's cells with all that makes slides, and some that make none."""
    shown, folded = {"tags": ["slide"]}, {"tags": ["hide-output"]}
    answers = "African_elephant 0.54\ntusker   logit  4.20  probability 0.30\n"
    return [
        new_markdown_cell("# 07 · The title\n\nWhy? [A link](a.ipynb).\n\n[← 06](b.ipynb)"),
        new_markdown_cell("## 1 · Answers"),
        new_code_cell("", outputs=figure("07-one"), metadata=shown),
        new_code_cell("", outputs=[new_output("stream", text=answers)], metadata=shown),
        new_markdown_cell("They differ, as et al. Said before. Second.\n\n### Exercise 1\n\nDo."),
        new_code_cell("", outputs=figure("07-two")),
        new_markdown_cell("## 2 · A *map*\n\nLong. So\n\n$$a_1$$\n\n> **Predict.** Which $b$?"),
        new_code_cell("", outputs=[new_output("stream", text="b 1\nb 2\n")], metadata=folded),
        new_markdown_cell(
            "> **With `x`** no. But **this** is a sentence to be taken away, always."
        ),
        new_code_cell("", outputs=figure("07-three", photographs=2), metadata=folded),
        new_markdown_cell("## What we have found\n\n- One. Two.\n- Three.\n\n## Appendix\n\n$$c$$"),
        new_code_cell("", outputs=figure("07-four"), metadata=shown),
    ]


def shown(cells, plan, folder):
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    slides.write_slides({"07": slides.Talk(new_notebook(cells=cells), plan)}, folder)
    return sections((folder / "07.html").read_text("utf-8"))


def test_a_talk_follows_from_its_notebook(cells, tmp_path):
    title, answers, asked, printed, found, credits = shown(cells, {}, tmp_path)
    assert "<h1>The title</h1><p>Why? A link.</p>" in title
    assert "They differ, as et al. Said before. Second." in answers
    assert '<span>African elephant</span><b>0.54</b><i style="--share: 0.54">' in answers
    assert "A <em>map</em>" in asked
    assert "<p>So</p>" in asked
    assert "<b>Predict</b> Which <span><math>" in asked
    assert "b 1\nb 2</pre>" in printed
    assert '<div class="words"><p>But <strong>this</strong> is a sentence' in printed
    assert "<li>One.</li>\n<li>Three.</li>" in found
    assert "Two." in found.partition("<aside")[2]
    assert credits.count("somebody") == 1


def test_the_plan_changes_a_talk(cells, tmp_path):
    plan = {"leave_out": ["cell-2", "cell-3"], "say": {"cell-7": ["With x no"]}}
    _, _, printed, *_ = shown(cells, plan, tmp_path)
    assert '<div class="words"><p>With <code>x</code> no.</p>' in printed
    cells[6].source = "## 2 · A map\n\nLong.\n\n> **Predict.** Which?"
    plan["before"] = {"cell-6": ["Second"]}
    for beside in ("07-two", "07-three 2"):
        plan["show"] = {"cell-6": beside}
        asked = shown(cells, plan, tmp_path)[1]
        assert "Second." in asked
        assert "Long." not in asked.partition("<aside")[0]
        assert "<img" in asked


@pytest.mark.parametrize(
    "plan",
    [
        {"leave_out": ["cell-99"]},
        {"say": {"cell-99": ["Long"]}},
        {"before": {"cell-99": []}},
        {"show": {"cell-99": "07-two"}},
    ],
)
def test_a_plan_that_names_what_is_gone_is_refused(cells, plan, tmp_path):
    with pytest.raises(ValueError, match=r"^talks\.toml"):
        shown(cells, plan, tmp_path)


def test_a_sentence_that_has_changed_gives_way_to_another(cells, tmp_path, capsys):
    usual = shown(cells, {}, tmp_path)
    assert shown(cells, {"say": {"cell-7": ["No such sentence"]}}, tmp_path) == usual
    assert "say.cell-7" in capsys.readouterr().out


def test_an_output_too_long_for_a_slide_is_refused(cells, tmp_path):
    cells[7].outputs[0].text = 20 * "b 1\n"
    with pytest.raises(ValueError, match=r"^Cell cell-7 prints 20 lines"):
        shown(cells, {}, tmp_path)


def drawn(pictures, titles, **options):
    figure = show_images(pictures, titles, **options)
    drawing.fit(figure)
    figure.draw_without_rendering()
    return figure


def test_a_figure_is_drawn_for_the_slide(tmp_path):
    photo = Image.new("RGB", (400, 300))
    wide = drawn(
        [photo, photo, photo], ["", "a title that is much too long for its panel " * 2, ""]
    )
    assert wide.get_figwidth() * drawing.INCH == pytest.approx(drawing.BELOW[0])
    title = wide.axes[1].title
    assert title.get_text().count("\n") >= 1
    assert title.get_window_extent().width <= wide.axes[1].get_window_extent().width + 1
    crowd = drawn([photo] * 18, list("ABCDEFGHIJKLMNOPQR"), columns=3)
    widths = [axes.get_window_extent().width for axes in crowd.axes]
    assert min(widths) > wide.bbox.width / 8
    assert [axes.texts[0].get_text() for axes in crowd.axes] == list("ABCDEFGHIJKLMNOPQR")
    small = show_images([photo], ["unreadable"])
    small.axes[0].title.set_size(6)
    with pytest.raises(ValueError, match="too small"):
        drawing.fit(small)


def test_show_figure_draws_for_slides_once_it_is_taken_over(monkeypatch):
    gathered = []
    for module in (figures, drawing):
        monkeypatch.setattr(module, "display", lambda what, **_: gathered.append(what))
    monkeypatch.setattr(figures, "show_figure", figures.show_figure)  # Put back in the end.
    with matplotlib.rc_context():
        drawing.take_over()
        photo = Image.new("RGB", (400, 300))
        figures.show_figure(show_images([photo, photo, photo]), "02-no-tusks")
    pictures = [one["image/jpeg"] for one in gathered if isinstance(one, dict)]
    widths = [Image.open(io.BytesIO(base64.b64decode(one))).width for one in pictures]
    assert widths[0] == pytest.approx(drawing.SHARPNESS * drawing.BELOW[0], rel=0.05)
    assert widths[1:] == [400, 400, 400]
