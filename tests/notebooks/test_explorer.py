"""The page `explorer.html`: the numbers of `class_activation_map`, for anyone to use."""

import re

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from browsing import browsing, needs_browser, opened
from scripts import load_script

from camutils import class_activation_map, data_path, load_classifier, load_image
from course.credits import credits_html

explorer = load_script("notebooks/pages/explorer.py")
COMPARED = ("polar_bear", "dragon_and_macaw")
OFF = [3, 9, 16, 17, 18, 24, 30, 31, 48]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    explorer.main([str(path)])
    return path


@pytest.fixture(scope="module")
def browser():
    with browsing() as browser:
        yield browser


def evidence(key):
    """CAM (1000, 49) and bias of a picture, straight from the core."""
    file = next(p.file for p in explorer.PICTURES if f"/{key}." in p.file)
    classifier = load_classifier("efficientnet_lite0", "embedded")
    x = classifier.preprocess(load_image(data_path(*file.split("/"))))[None]
    linear = classifier.model.classifier[-1]
    with torch.inference_mode():
        features = classifier.model.features(x)
        cam = class_activation_map(features, linear.weight, list(range(1000)))[0]
        return cam.flatten(1), linear.bias, classifier.model(x)[0]


def shown(page):
    logit, probability = (float(page.inner_text(f"output#{i}")) for i in ("logit", "probability"))
    answers = page.locator("ol#answers > li[data-class]")
    return (
        logit,
        probability,
        answers.evaluate_all("all => all.map(li => Number(li.dataset.class))"),
    )


def pressed(page):
    return page.evaluate(
        "[...document.querySelectorAll('button[data-cell][aria-pressed=true]')]"
        ".map(button => Number(button.dataset.cell))"
    )


def test_the_file_stands_alone_and_names_whom_it_owes_its_pictures(path):
    page = path.read_text("utf-8")
    assert len(page) < 4e6
    assert "{{" not in page
    for link in re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page):
        assert link == "index.html" or link.startswith("http"), link  # Of credits only.
    for picture in explorer.PICTURES:
        credit = credits_html([data_path(*picture.file.split("/"))], explorer.CHANGES)
        assert re.sub("<.*?>|: .*", "", credit).split(";")[0] in re.sub("<.*?>", "", page)


def test_a_square_that_is_covered_changes_every_cell():
    classifier = load_classifier("efficientnet_lite0", "embedded")
    x = classifier.preprocess(load_image(data_path("scenes", "polar_bear.webp")))
    covered = x.clone()
    covered[:, 96:128, 96:128] = 0
    change = explorer.cell_evidence(classifier, x) - explorer.cell_evidence(classifier, covered)
    assert (change[296] != 0).all()


@needs_browser
@pytest.mark.parametrize("key", COMPARED)
def test_numbers_and_order_are_those_of_the_core(path, browser, key):
    cam, bias, logits = evidence(key)
    kept = torch.ones(49)
    kept[OFF] = 0
    less = (cam * kept).sum(1) / 49 + bias
    classes = [*logits.topk(3).indices.tolist(), 100, 999]
    with opened(browser, path.as_uri()) as page:
        page.select_option("select#picture", key)
        assert shown(page)[2] == logits.topk(10).indices.tolist()
        for cells, expected in (([], logits), (OFF, less)):
            for cell in cells:
                page.click(f'button[data-cell="{cell}"]')
            for index in classes:
                page.fill("input#class", str(index))
                logit, probability, order = shown(page)
                assert abs(logit - expected[index]) < 0.01
                assert abs(probability - expected.softmax(0)[index]) < 0.01
                # Float16 may swap classes that are equal to its last digit.
                assert expected[order].diff().max() < 2e-3
                assert order[:3] == expected.topk(3).indices.tolist()
        assert pressed(page) == OFF


@needs_browser
def test_cells_classes_and_undo(path, browser):
    with opened(browser, path.as_uri()) as page:
        cells = page.locator("button[data-cell]")
        assert cells.evaluate_all("all => all.map(b => b.dataset.cell)") == [*map(str, range(49))]
        page.evaluate("window.first = document.querySelectorAll('button[data-cell]')")
        before = shown(page)[0]
        share = float(cells.nth(24).get_attribute("aria-label").split("+")[1])
        cells.nth(24).click()
        assert shown(page)[0] == pytest.approx(before - share, abs=0.0016)
        page.click("#only")
        assert page.locator("button[data-cell][aria-pressed=false]").count() == 1
        page.click("#swap")
        assert pressed(page) == [24]
        page.click("#undo")
        page.click("#undo")
        assert pressed(page) == [24]
        page.click("#reset")
        assert pressed(page) == []
        for start, *further in ((7, 8, 9), (9, 8)):  # Back over what was taken away.
            cells.nth(start).hover()
            page.mouse.down()
            for cell in further:
                cells.nth(cell).hover()
            page.mouse.up()
        assert pressed(page) == [7]
        page.click("#undo")
        assert pressed(page) == [7, 8, 9]
        page.fill("input#class", "Egyptian_cat")
        page.fill("input#other", "lynx")
        page.check("#figures")
        page.check("#signed")
        page.locator("#thumbs button").nth(4).click()
        assert page.input_value("#picture") == "dragon_and_macaw"
        same = "[...document.querySelectorAll('button[data-cell]')].every((b, i) => b === first[i])"
        assert page.evaluate(same)


@needs_browser
def test_what_the_page_asks_for_can_be_found(path, browser):
    with opened(browser, path.as_uri()) as page:
        page.locator("#keep").evaluate("e => (e.value = 3, e.dispatchEvent(new Event('input')))")
        assert shown(page)[2][0] == 296
        assert 0.005 < shown(page)[1] < 0.015
        page.click("text=Jaguar or leopard?")
        page.wait_for_function("document.getElementById('picture').value === 'jaguar'")
        page.locator("#keep").evaluate("e => e.focus()")
        values = page.locator("button[data-cell]").evaluate_all(
            "all => all.map(b => Number(b.ariaLabel.split(': ')[1].replace('−', '-')))"
        )
        for cell in sorted(range(49), key=values.__getitem__)[-2:]:
            page.click(f'button[data-cell="{cell}"]')
        assert page.inner_text("#answers li:first-child span").startswith("leopard")


@needs_browser
def test_the_address_holds_the_state(path, browser):
    moment = "#picture=jaguar&class=leopard&other=290&off=48,3,17,99"
    with opened(browser, path.as_uri() + moment) as page:
        assert page.input_value("#class") == "leopard"
        assert page.input_value("#other") == "jaguar"
        assert pressed(page) == [3, 17, 48]
        page.click('button[data-cell="17"]')
        page.fill("#class", "134")
        page.fill("#other", "")
        assert page.url.endswith("#picture=jaguar&class=134&off=3,48")
        numbers, address = shown(page), page.url
    with opened(browser, address) as page:
        assert shown(page) == numbers
        assert page.input_value("#class") == "crane (134)"
    with opened(browser, path.as_uri() + "#picture=none&class=none&off=none") as page:
        assert page.input_value("#class") == "ice bear"


@needs_browser
def test_the_keyboard_alone(path, browser):
    with opened(browser, path.as_uri()) as page:
        page.focus('button[data-cell="0"]')
        for key in ("ArrowDown", "ArrowRight", "Space", "ArrowLeft", "ArrowLeft", "Enter"):
            page.keyboard.press(key)
        assert pressed(page) == [7, 8]
        page.keyboard.press("Control+z")
        assert pressed(page) == [8]
        page.focus("#class")
        page.keyboard.press("Control+a")
        page.keyboard.type("lynx")
        page.keyboard.press("Tab")
        assert page.input_value("#class") == "lynx"
        page.focus("#class")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert page.get_attribute("#class", "aria-expanded") == "true"
        page.keyboard.press("Enter")
        assert page.input_value("#class") == "white wolf"
        assert page.get_attribute("#class", "aria-expanded") == "false"


@needs_browser
def test_covered_pixels(path, browser):
    with opened(browser, path.as_uri()) as page:
        page.click("#sets button:has-text('the bear')")
        rows = page.locator("#compare tbody tr").all_inner_texts()
        logit = [float(text.replace("−", "-")) for text in rows[3].split("\t")[1:]]
        assert logit[1] == shown(page)[0]
        cells = torch.tensor(pressed(page))
    classifier = load_classifier("efficientnet_lite0", "embedded")
    x = classifier.preprocess(load_image(data_path("scenes", "polar_bear.webp")))
    for cell in cells.tolist():
        row, column = 32 * (cell // 7), 32 * (cell % 7)
        x[:, row : row + 32, column : column + 32] = 0
    with torch.inference_mode():
        answer = classifier.model(x[None])[0]
    assert logit[2] == pytest.approx(answer[296].item(), abs=0.01)
    first = classifier.categories[answer.argmax()].replace("_", " ")
    assert rows[5].endswith(f"{first} {answer.softmax(0).max():.2f}")


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_anyone_can_use_it(path, browser, width, dark):
    with opened(browser, path.as_uri() + "#other=270&off=8,24", width=width, dark=dark) as page:
        page.locator("#sets button").first.click()
        page.click("#class")  # Opens the list of classes.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        findings = Axe().run(page, options={"preload": False}).response["violations"]
        serious = [f for f in findings if f["impact"] in ("serious", "critical")]
        assert [(f["id"], [n["html"] for n in f["nodes"]]) for f in serious] == []


@needs_browser
def test_in_print(path, browser):
    with opened(browser, path.as_uri() + "#off=8,24", dark=True) as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert (
            page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        )
        assert not page.is_visible("#thumbs")
        assert page.is_visible("#photo")
        assert page.is_visible("#answers")
        assert len(page.pdf()) > 50_000
