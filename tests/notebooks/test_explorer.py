"""The page `explorer.html`: the numbers of `class_activation_map`, for anyone to use.

And `network.js`: the network in the page sees what the notebooks see, and answers as they do.
"""

import base64
import re

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from browsing import browsing, needs_browser, opened
from PIL import Image
from scripts import load_script

from camutils import class_activation_map, data_path, load_classifier, load_image
from course.credits import credits_html

explorer = load_script("notebooks/pages/explorer.py")
COMPARED = ("polar_bear", "dragon_and_macaw")
OFF = [3, 9, 16, 17, 18, 24, 30, 31, 48]
PHOTOGRAPHS = [  # Of several sizes and formats; the red pyramid moves most in float16.
    *("scenes/elephants.jpg", "scenes/polar_bear.webp", "scenes/lizard.webp"),
    *("unseen/egypt_red_pyramid.webp", "unseen/hammer5.webp", "unseen/dog.webp"),
    *(f"photos/animal/{name}.webp" for name in ("bee", "giraffe", "koala", "penguin", "toucan")),
    "photos/monument/statue_of_liberty.webp",
]
GREY = (124, 116, 104)  # ImageNet's mean colour.


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    explorer.main([str(path)])
    return path


@pytest.fixture(scope="module")
def browser():
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def lite():
    return load_classifier("efficientnet_lite0", "embedded")


@pytest.fixture(scope="module")
def tested(path, browser):
    """The page after its self-test, for all tests that need no other window."""
    with opened(browser, path.as_uri() + "#test") as page:
        page.wait_for_selector("#said[data-test]", timeout=60_000)
        yield page


@pytest.fixture
def page(tested):
    """The polar bear, as the page begins."""
    go_to(tested, "#picture=polar_bear")
    return tested


def go_to(page, moment):
    page.evaluate(
        """moment => {
            document.activeElement.blur();
            history.replaceState(null, "", moment);
            readAddress();
        }""",
        moment,
    )


def evidence(lite, key):
    """CAM (1000, 49) and bias of a picture, straight from the core."""
    file = next(p.file for p in explorer.PICTURES if f"/{key}." in p.file)
    x = lite.preprocess(load_image(data_path(*file.split("/"))))[None]
    linear = lite.model.classifier[-1]
    with torch.inference_mode():
        features = lite.model.features(x)
        cam = class_activation_map(features, linear.weight, list(range(1000)))[0]
        return cam.flatten(1), linear.bias, lite.model(x)[0]


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


def test_a_square_that_is_covered_changes_every_cell(lite):
    x = lite.preprocess(load_image(data_path("scenes", "polar_bear.webp")))
    covered = x.clone()
    covered[:, 96:128, 96:128] = 0
    change = explorer.cell_evidence(lite, x) - explorer.cell_evidence(lite, covered)
    assert (change[296] != 0).all()


@needs_browser
@pytest.mark.parametrize("key", COMPARED)
def test_numbers_and_order_are_those_of_the_core(page, lite, key):
    cam, bias, logits = evidence(lite, key)
    kept = torch.ones(49)
    kept[OFF] = 0
    less = (cam * kept).sum(1) / 49 + bias
    classes = [*logits.topk(3).indices.tolist(), 100, 999]
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
def test_cells_classes_and_undo(page):
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
    assert page.is_checked("#signed")  # The map of a difference has two sides.
    page.fill("input#other", "Egyptian_cat")
    assert "itself" in page.inner_text("#unknown")
    page.fill("input#other", "unicorn")
    page.keyboard.press("Enter")
    assert "unicorn" in page.inner_text("#unknown")
    page.check("#figures")
    page.check("#signed")
    page.click("#thumbs button:has-text('Dragon and macaw')")
    assert page.input_value("#picture") == "dragon_and_macaw"
    same = "[...document.querySelectorAll('button[data-cell]')].every((b, i) => b === first[i])"
    assert page.evaluate(same)


@needs_browser
def test_what_the_page_asks_for_can_be_found(page):
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
def test_the_address_holds_the_state(page):
    go_to(page, "#picture=jaguar&class=leopard&other=290&off=48,3,17,99")
    assert page.input_value("#class") == "leopard"
    assert page.input_value("#other") == "jaguar"
    assert pressed(page) == [3, 17, 48]
    page.click('button[data-cell="17"]')
    page.fill("#class", "474")  # Another class, a dog, is called Cardigan.
    page.fill("#other", "")
    assert page.url.endswith("#picture=jaguar&class=474&off=3,48")
    numbers, address = shown(page), page.url.partition("#")[2]
    go_to(page, "#picture=none&class=none&off=none")
    assert page.input_value("#class") == "ice bear"
    go_to(page, f"#{address}")
    assert shown(page) == numbers
    assert page.input_value("#class") == "cardigan (474)"


@needs_browser
def test_the_keyboard_alone(page):
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
def test_covered_pixels(page, lite):
    page.click("#sets button:has-text('the bear')")
    rows = page.locator("#compare tbody tr").all_inner_texts()
    logit = [float(text.replace("−", "-")) for text in rows[3].split("\t")[1:]]
    assert logit[1] == shown(page)[0]
    cells = torch.tensor(pressed(page))
    x = lite.preprocess(load_image(data_path("scenes", "polar_bear.webp")))
    for cell in cells.tolist():
        row, column = 32 * (cell // 7), 32 * (cell % 7)
        x[:, row : row + 32, column : column + 32] = 0
    with torch.inference_mode():
        answer = lite.model(x[None])[0]
    assert logit[2] == pytest.approx(answer[296].item(), abs=0.01)
    first = lite.categories[answer.argmax()].replace("_", " ")
    assert rows[5].endswith(f"{first} {answer.softmax(0).max():.2f}")


def choose_file(page, file):
    """Choose a file as a reader does; what the page then says of it."""
    page.set_input_files("#file", str(file))
    return said_of(page, file.name)


def said_of(page, name):
    page.wait_for_function(
        "name => document.querySelector('#said').textContent.includes(name)", arg=name
    )
    return page.inner_text("#said")


def seen(page):
    """The 224x224 pixels that the page's network saw (3, 224, 224), and its 1000 logits."""
    pixels = base64.b64decode(
        page.evaluate("btoa(Array.from(state.picture.rgb, (b) => String.fromCharCode(b)).join(''))")
    )
    pixels = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(224, 224, 3)
    return pixels.permute(2, 0, 1), torch.tensor(page.evaluate("Array.from(whole.logits)"))


def answers(lite, pixels):
    """PyTorch's logits for the same pixels."""
    with torch.inference_mode():
        return lite.model(lite.preprocess.transforms[-1](pixels / 255)[None])[0]


def squashed(lite, image):
    """What the notebooks make of a picture before it is normalised, (3, 224, 224)."""
    return torch.from_numpy(np.array(lite.preprocess.transforms[0](image))).permute(2, 0, 1)


@needs_browser
def test_the_page_tests_itself_and_an_address_waits_for_its_picture(page):
    assert page.get_attribute("#said", "data-test") == "passed"
    page.evaluate("location.hash = 'picture=own&class=lynx&off=3,4'")
    page.wait_for_function("document.getElementById('class').value === 'lynx'")
    assert page.input_value("#picture") != "own"
    choose_file(page, data_path("unseen", "dog.webp"))
    page.wait_for_function("state.picture.key === 'own' && state.off.size === 2")
    assert page.input_value("#class") == "lynx"
    assert pressed(page) == [3, 4]


@needs_browser
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_of_ones_own_is_answered_as_in_the_notebooks(page, lite, name):
    file = data_path(*name.split("/"))
    choose_file(page, file)
    pixels, logits = seen(page)
    same = answers(lite, pixels)
    assert (logits - same).abs().max() < 0.05
    assert logits.argmax() == same.argmax()
    with torch.inference_mode():
        notebook = lite.model(lite.preprocess(load_image(file))[None])[0]
    logit, probability, order = shown(page)
    assert logit == pytest.approx(notebook.max().item(), abs=0.15)
    assert probability == pytest.approx(notebook.softmax(0).max().item(), abs=0.03)
    assert order[:3] == notebook.topk(3).indices.tolist()


@needs_browser
def test_large_turned_and_transparent_pictures_and_files_that_are_none(page, lite, tmp_path):
    bear = load_image(data_path("scenes", "polar_bear.webp"))
    turned, clear = tmp_path / "turned.jpg", tmp_path / "clear.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn it to the right.
    bear.rotate(90, expand=True).resize((1800, 2400)).save(turned, exif=exif)
    small = bear.resize((400, 300))
    small.putalpha(Image.linear_gradient("L").resize(small.size))
    small.save(clear)
    for file in (turned, clear):
        choose_file(page, file)
        difference = seen(page)[0].float() - squashed(lite, load_image(file)).float()
        assert difference.abs().max() <= 2, file
    logit = shown(page)[0]
    none, heic = tmp_path / "none.jpg", tmp_path / "photo.heic"
    none.write_text("This is no picture.")
    heic.write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    assert "decode" in choose_file(page, none)
    assert "Safari" in choose_file(page, heic)
    assert shown(page)[0] == logit  # The picture before it is still there.


@needs_browser
def test_covering_and_cropping_run_the_network_again(page, lite):
    file = data_path("scenes", "polar_bear.webp")
    choose_file(page, file)
    image = load_image(file)
    before = shown(page)[0]
    for cell in (24, 25):
        page.click(f'button[data-cell="{cell}"]')
    taken = shown(page)[0]
    page.click("#cover")
    page.wait_for_selector("#compare:visible")
    image.paste(GREY, (round(3 * 1024 / 7), round(3 * 768 / 7), round(5 * 1024 / 7), 439))
    pixels, logits = seen(page)
    assert (pixels.float() - squashed(lite, image).float()).abs().max() <= 1
    assert (logits - answers(lite, pixels)).abs().max() < 0.05
    covered = shown(page)[0]
    # The second question of the teachers' page for a picture of one's own.
    assert (before, taken, covered) == pytest.approx((11.3, 9.7, 12.4), abs=0.05)
    row = page.locator("#compare tr.sum td").all_inner_texts()
    assert [float(text) for text in row] == [before, taken, covered]
    page.click("#back")
    assert shown(page)[0] == before

    page.check("[name=tool][value=brush]")
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    left, top, width, height = (box[key] for key in ("x", "y", "width", "height"))
    page.mouse.move(left + 0.2 * width, top + height / 2)
    page.mouse.down()
    page.mouse.move(left + 0.8 * width, top + height / 2, steps=4)
    page.mouse.up()
    page.wait_for_selector("#compare:visible")
    pixels = seen(page)[0]
    assert (pixels[:, 112, 50:174].float() - torch.tensor(GREY)[:, None]).abs().max() <= 1
    assert torch.equal(pixels[:, :80], squashed(lite, load_image(file))[:, :80])
    page.click("#back")

    page.check("[name=tool][value=frame]")
    page.mouse.move(left + 0.25 * width, top + 0.25 * height)
    page.mouse.down()
    page.mouse.move(left + 0.75 * width, top + 0.6 * height, steps=4)
    page.mouse.up()
    page.wait_for_selector("#before:visible")
    wide, high = page.evaluate("state.picture.pixels")
    assert (wide / 1024, high / 768) == pytest.approx((0.5, 0.5), abs=0.01)  # Its proportions.
    crop = load_image(file).crop((256, 192, 256 + wide, 192 + high))
    assert (seen(page)[0].float() - squashed(lite, crop).float()).abs().mean() < 3
    assert shown(page)[0] != before
    page.check("[name=tool][value=cells]")


@needs_browser
def test_a_picture_is_dropped_pasted_or_comes_from_the_webcam(page):
    bytes_of = base64.b64encode(data_path("unseen", "dog.webp").read_bytes()).decode()
    for event, holder in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate(
            """([content, event, holder]) => {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                const data = new DataTransfer();
                data.items.add(new File([bytes], `by ${event}.webp`));
                const Kind = event === "drop" ? DragEvent : ClipboardEvent;
                document.body.dispatchEvent(
                    new Kind(event, { [holder]: data, bubbles: true, cancelable: true }));
            }""",
            [bytes_of, event, holder],
        )
        said_of(page, f"by {event}.webp")
        assert page.input_value("#class") == "German shepherd"
    page.evaluate(
        """() => {  // A camera that looks at one of the page's pictures.
            const canvas = document.createElement("canvas"), { image } = byKey("jaguar");
            Object.assign(canvas, { width: image.naturalWidth, height: image.naturalHeight });
            const pen = canvas.getContext("2d");
            setInterval(() => pen.drawImage(image, 0, 0), 50);
            navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(20);
        }"""
    )
    page.click("#webcam")
    page.wait_for_function("document.getElementById('class').value === 'jaguar'")
    page.click("#webcam")
    assert page.get_attribute("#webcam", "aria-pressed") == "false"
    assert page.evaluate("stream") is None


@needs_browser
def test_without_its_second_file_the_page_says_what_is_missing(path, browser, tmp_path):
    alone = tmp_path / "explorer.html"
    alone.write_bytes(path.read_bytes())
    context = browser.new_context()
    page = context.new_page()
    page.goto(alone.as_uri())
    page.set_input_files("#file", str(data_path("unseen", "dog.webp")))
    said_of(page, "network.js")
    context.close()


def check_that_anyone_can_use(page, width):
    page.locator("#sets button").first.click()
    page.click("#class")  # Opens the list of classes.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    findings = Axe().run(page, options={"preload": False}).response["violations"]
    serious = [f for f in findings if f["impact"] in ("serious", "critical")]
    assert [(f["id"], [n["html"] for n in f["nodes"]]) for f in serious] == []


@needs_browser
def test_in_the_dark_and_in_print(page):
    go_to(page, "#picture=polar_bear&other=270&off=8,24")
    page.emulate_media(color_scheme="dark")
    check_that_anyone_can_use(page, 1280)
    page.emulate_media(media="print", color_scheme="dark")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    assert not page.is_visible("#thumbs")
    assert not page.is_visible("#file")
    assert page.is_visible("#photo")
    assert page.is_visible("#answers")
    assert len(page.pdf()) > 50_000
    page.emulate_media(media="screen", color_scheme="light")


@needs_browser
def test_on_a_phone(path, browser):
    with opened(browser, path.as_uri() + "#other=270&off=8,24", width=390) as page:
        # What is done anywhere below is seen on the same screen.
        for place in ('button[data-cell="45"]', "#answers li:nth-child(9) button", "#keep"):
            page.click(place)
            for seen_above in ("#logit", "#stage"):
                box = page.locator(seen_above).bounding_box()
                assert box["y"] >= 0, place
                assert box["y"] + box["height"] <= 720, place
        check_that_anyone_can_use(page, 390)
