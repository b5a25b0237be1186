"""What is reproduced of the four sources: `python -m camutils.course.reproduction`.

Writes `notebooks/reproduction.md`, a page of the site, from the table below, the headings of the
notebooks, and the figures in `data/published.json`. Each row says no more than what somebody who
opens its place will find there.
"""

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from camutils.data import data_path, whole_file

NOTEBOOKS = data_path().parent / "notebooks"
PAGE = NOTEBOOKS / "reproduction.md"
COMMAND = ".venv/bin/pytest tests/course/test_published.py --pretrained"
DOWNLOAD = ".venv/bin/python -m camutils.download"
HERE, STAND_IN = "reproduced here", "reproduced on a stand-in"
CONNECTION, CANNOT = "needs a connection", "cannot be reproduced"
OTHER_ORDER = "measured, in another order"  # Of a figure that somebody has measured.
STATES = {
    HERE: "the step itself was carried out here, on pictures of our own; where weights count, the "
    "row says whose they are",
    STAND_IN: "the same step on another network, which is named; its answers are its own, not the "
    "article's",
    CONNECTION: "only a download is missing; the row has the command, and says what is left to do "
    "after it",
    CANNOT: "the picture was never published as a file: the source shows it without an address, "
    "and only the text of the sources was at hand",
}
VGG16 = "VGG16 with Oxford's convolutions"
ANIMALS, LITE0 = "`vgg16_animals`", "`efficientnet_lite0`"
LATER = "once it is downloaded"  # Rows that the real network then fills.
OR_VGG19, OR_DENSENET = f"{ANIMALS}, or VGG19 {LATER}", f"{LITE0}, or DenseNet201 {LATER}"
UNTRAINED = "DenseNet201 with random weights"
CAM_01, GRAD_02 = "01_cam_vgg16.ipynb", "02_gradcam_vgg19_elephants.ipynb"
IGUANA_03 = "03_gradcam_densenet201_iguanas.ipynb"


class Place(NamedTuple):
    """Where a row can be looked up."""

    file: str  #: a notebook, or a test as `tests/.../test_x.py::test_y`
    holds: str = ""  #: what stands in one section of that notebook, word for word


class Row(NamedTuple):
    """A step or figure of a source."""

    printed: str
    state: str  #: a key of `STATES`
    how: str = ""  #: the network, what differs, what is missing
    places: tuple[Place, ...] = ()


QUESTION = (
    Row(
        "VGG16's layers, as the question prints them",
        HERE,
        f"{VGG16}; its three linear layers are untrained, and only their shapes count",
        (Place(CAM_01, "print(vgg.avgpool, vgg.classifier"),),
    ),
    Row(
        "The class index by argmax; activations of shape (1, 512, 14, 14); the row of 4096 "
        "weights out of (1000, 4096)",
        HERE,
        f"{VGG16}; the class index is computed and not shown, since with untrained linear layers "
        "it means nothing; of the matrix only the row's shape is printed",
        (Place(CAM_01, "class_idx = vgg(x).argmax()"),),
    ),
    Row(
        "The dot product that does not exist",
        HERE,
        "the cell fails as the question's code does",
        (Place(CAM_01, "row @ last_convolution.reshape(512, 14 * 14)"),),
    ),
    Row(
        "The answer: take a network that ends in average pooling and one linear layer, as ResNet",
        STAND_IN,
        f"{LITE0} for a trained ResNet; of ResNet-50 only the last layer is looked up",
        (Place(CAM_01, '"01-no-retraining"'),),
    ),
    Row(
        "Option 1: average pooling and a single linear layer, finetuned on any data set",
        HERE,
        f"{VGG16} and four classes of photographs of our own; not on ImageNet",
        (Place(CAM_01, "result = fit_head("),),
    ),
    Row(
        "Option 2: the three linear layers as convolutions, on an enlarged picture",
        STAND_IN,
        "the equality on VGG16's own layers, untrained (the test: on small random ones); the map "
        "from a small fully connected head that is trained here",
        (
            Place(CAM_01, "def as_convolution("),
            Place(
                "tests/course/test_cam_vgg16.py::"
                "test_linear_layers_rewritten_as_convolutions_give_the_same_logits"
            ),
        ),
    ),
)
ARTICLE_CAM = (
    Row(
        "A folder of pictures, transformed and loaded",
        HERE,
        "four folders of our own",
        (
            Place(CAM_01, "dataset = image_folder("),
            Place(CAM_01, "loader = DataLoader(Subset(dataset, chosen)"),
        ),
    ),
    Row(
        "One line that removes the fully connected layers",
        HERE,
        VGG16,
        (Place(CAM_01, "list(vgg.children())[:-2]"),),
    ),
    Row(
        "512x7x7 to 512x49, the mean, 512 numbers, one linear layer",
        HERE,
        VGG16,
        (Place(CAM_01, "flat = dog_maps[0].reshape(512, 49)"),),
    ),
    Row(
        "Training of the last layer alone, with cross-entropy",
        HERE,
        f"{VGG16}, four classes of our own; the article prints no loss and no accuracy to compare "
        "with",
        (Place(CAM_01, "nn.CrossEntropyLoss()(model(pictures)"),),
    ),
    Row(
        "The weights taken out of the trained layer",
        HERE,
        f"{VGG16} and the trained head",
        (Place(CAM_01, "weight, bias = model.head.weight.detach()"),),
    ),
    Row(
        "The CAM function: feature maps times the weights of a class, scaled, enlarged",
        HERE,
        f"{VGG16} and the trained head; checked on the 7x7 cells, enlarged and coloured where the "
        "first map is drawn",
        (
            Place(CAM_01, "def return_cam("),
            Place(CAM_01, "cv2.applyColorMap("),
        ),
    ),
    Row(
        "Test pictures normalised and preprocessed",
        HERE,
        f"{VGG16} and the scaling of colours that these weights were trained with; the whole "
        "picture squashed, not cropped",
        (Place(CAM_01, "print(preprocess)"),),
    ),
    Row(
        "`features_blobs`, softmax, sorting, the label, the map of the winner, for a folder",
        HERE,
        f"{VGG16} and the trained head; the hook on one picture, the loop without it on pictures "
        "that were not trained on",
        (
            Place(CAM_01, "features_blobs.append(output.numpy())"),
            Place(CAM_01, "for path, f in zip(unseen_paths, unseen, strict=True):"),
        ),
    ),
    Row("The result pictures", CANNOT, "neither the pictures nor the data set are named"),
)
ARTICLE_GRAD_CAM = (
    Row(
        "The photograph of the elephants from Chollet's book",
        CONNECTION,
        f"`{DOWNLOAD} elephants` fetches it from where the book's second edition does; whether it "
        "is, pixel by pixel, that of the first, which the article used, is not known. Until then a "
        "composite of our own",
        (Place(GRAD_02, 'photo = load_image(scene_path("elephants"))'),),
    ),
    Row(
        "The basic transform for ImageNet, normalisation included, and a data loader for one "
        "picture",
        STAND_IN,
        f"{OR_VGG19}: each with the scaling of colours of its own weights; a batch of one without "
        "a loader",
        (Place(GRAD_02, "x, end = classifier.preprocess(photo)[None]"),),
    ),
    Row(
        "VGG19's layers; the hook belongs to layer 35 of `features`, behind the last convolution "
        "and its ReLU",
        HERE,
        f"VGG19 without weights in the test; the notebook names the layer and prints those of "
        f"{OR_VGG19}",
        (
            Place(GRAD_02, "in VGG19 `features[35]`"),
            Place("tests/course/test_reproduction.py::test_layer_35_of_vgg19_is_the_last_relu"),
        ),
    ),
    Row(
        "A hook on a tensor catches a gradient that is otherwise discarded",
        HERE,
        "on a small tensor",
        (Place(GRAD_02, "register_hook(caught.append)"),),
    ),
    Row(
        "The class that hooks the activation inside `forward` and applies the last pool by hand",
        STAND_IN,
        OR_VGG19,
        (Place(GRAD_02, "class DissectedVGG"),),
    ),
    Row(
        "'Set your model into the evaluation mode, otherwise you can get very random results'",
        STAND_IN,
        f"{LITE0}, by its map and not by its answers: batch norm in train mode spoils it, dropout "
        "hardly changes it",
        (Place(GRAD_02, "def map_with(kind: type,"),),
    ),
    Row(
        "Backward from the logit of 'African_elephant'",
        STAND_IN,
        f"{OR_VGG19}: from its first answer",
        (Place(GRAD_02, "logits[0, c].backward()"),),
    ),
    Row(
        "Gradients averaged, channels weighted, summed, ReLU: a map of 14x14",
        STAND_IN,
        f"{OR_VGG19}; that of {ANIMALS} is equal to captum's",
        (
            Place(GRAD_02, "alpha = gradient.mean(dim=(2, 3))"),
            Place("tests/peers/test_animals_captum.py::test_grad_cam_is_captums"),
        ),
    ),
    Row(
        "'By inspecting these channels, we can tell which ones played the most significant role'",
        STAND_IN,
        f"{OR_VGG19}; the article shows none of them",
        (Place(GRAD_02, '"02-channels"'),),
    ),
    Row(
        "The map enlarged with OpenCV and blended as in the book",
        STAND_IN,
        OR_VGG19,
        (Place(GRAD_02, "cv2.resize(heat01.numpy(), photo.size)"),),
    ),
    Row(
        "The heat lies on heads and ears of the elephants",
        CONNECTION,
        f"`{COMMAND}` runs the notebook with VGG19 on the photograph and writes it to "
        f"`build/published`; then a person has to look. {ANIMALS} on our composite is hottest on "
        "ear and cheek",
        (Place(GRAD_02, '"02-elephants"'),),
    ),
    Row(
        "'Same results as Chollet gets': the three classes and their order",
        CONNECTION,
        f"`{COMMAND}` compares the order and prints the logits; we squash the whole picture, the "
        "article does not print its sizes; the book's own figures are not among the sources",
        (Place("tests/course/test_published.py::test_the_elephants_come_in_the_published_order"),),
    ),
    Row(
        "Ears and tusks tell the three elephants apart",
        STAND_IN,
        f"{LITE0}: the map is compatible with the tusks, for the ears nothing is decided",
        (Place(GRAD_02, '"02-why-not"'),),
    ),
    Row(
        "The two sharks, known by mouth and teeth, by body and water",
        CANNOT,
        "two other photographs are looked at in their place",
        (Place(GRAD_02, "two sharks"),),
    ),
    Row(
        "DenseNet201's last convolution, 'impractical' to reach; the workaround that the article "
        "avoids, rebuilding the network and copying the weights",
        HERE,
        f"{UNTRAINED}: one dotted name away, but 32 of 1920 channels; nothing has to be rebuilt",
        (
            Place(IGUANA_03, "features.denseblock4.denselayer32.conv2"),
            Place(
                "tests/course/test_densenet.py::test_norm5_is_the_target_layer_with_all_channels"
            ),
        ),
    ),
    Row(
        "The wrapper: features up to the last batch norm, pooled, classified; maps of 7x7",
        HERE,
        f"{UNTRAINED}; it leaves out a ReLU that torchvision's own forward pass has (the "
        "article's text names the pooling before the classifier, and no ReLU)",
        (
            Place(IGUANA_03, "class Wrapped("),
            Place(
                "tests/course/test_densenet.py::"
                "test_the_wrapper_is_torchvision_with_the_relu_and_not_without"
            ),
        ),
    ),
    Row(
        "The iguana that is an alligator: its map lies on the animal and on the photographer",
        CANNOT,
        "the picture is one of ImageNet's; the article does not say which",
    ),
    Row("The heat map of the cropped iguana", CANNOT, "neither picture nor crop is at hand"),
    Row(
        "Wrong answer, map, crop, right answer",
        STAND_IN,
        f"{OR_DENSENET}, on a lizard of our own; with {LITE0} a control then shows that its "
        "surroundings alone were not the cause",
        (Place(IGUANA_03, "LIZARD_CROP = ("),),
    ),
    Row(
        "The cat that is a dog until it is cropped, and its map",
        CANNOT,
        f"a private photograph; our kitten is a cat for {LITE0} in the full frame already",
        (Place(IGUANA_03, "CATS = ["),),
    ),
    Row(
        "People before the bullet train, and the map on their faces",
        CANNOT,
        "a private photograph, without a counterpart here",
    ),
    Row(
        "A map of 7x7 is 'a little exaggerated' when projected back",
        STAND_IN,
        f"{OR_DENSENET}: cells beside the interpolated map",
        (Place(IGUANA_03, "a little exaggerated"),),
    ),
    Row(
        "Why not the gradient of the pixels?",
        STAND_IN,
        f"{OR_VGG19}; the article argues without a picture",
        (Place(GRAD_02, "(pixel_gradient,) ="),),
    ),
)
GAP = (
    Row(
        "What *Network in Network* says of global average pooling",
        HERE,
        "in our words",
        (Place(CAM_01, "gives three reasons to prefer GAP"),),
    ),
    Row(
        "The drawing: each feature map becomes its mean",
        HERE,
        f"{VGG16}, a feature map with its values written in",
        (Place(CAM_01, '"01-pooling"'),),
    ),
    Row(
        "The last layer's feature maps are the richest in meaning",
        STAND_IN,
        f"{ANIMALS}: its maps from three depths, and the share of their energy on the elephants",
        (Place(GRAD_02, '"02-depth"'),),
    ),
    Row(
        "`find_vgg_layer`: the target layer by its name, `features_29`, of shape 1x512x14x14",
        HERE,
        f"{VGG16}; `grad_cam` takes the dotted name of any module, here `features.29`",
        (Place(CAM_01, 'fine = grad_cam(model, "features.29", both)'),),
    ),
    Row(
        "A forward hook, and `register_backward_hook` for the gradient",
        STAND_IN,
        f"{ANIMALS}; the hook is deprecated, and its successor fails on an in-place ReLU",
        (Place(GRAD_02, "layer.register_backward_hook("),),
    ),
    Row(
        "Where no class is named, that with the largest score",
        STAND_IN,
        f"{ANIMALS}: the default of `grad_cam`",
        (Place(GRAD_02, "result = classifier.grad_cam(photo)"),),
    ),
    Row(
        "Mean of the gradients, weighted sum, ReLU, with their formulas",
        STAND_IN,
        ANIMALS,
        (Place(GRAD_02, "\\alpha_k^c = \\frac{1}{Z}"),),
    ),
    Row(
        "The map enlarged to the picture with `F.upsample`, bilinearly",
        STAND_IN,
        f"{LITE0}, with `F.interpolate`: `F.upsample` is deprecated",
        (Place(IGUANA_03, 'size=mask.shape, mode="bilinear"'),),
    ),
    Row(
        "The map scaled by its range",
        STAND_IN,
        f"{ANIMALS}: on a flat map the document's line divides zero by zero",
        (Place(GRAD_02, "by_hand = (flat - flat.min())"),),
    ),
    Row(
        "The example with ResNet-101 and `layer4`: the map of class 10, coloured and laid over",
        CONNECTION,
        f"`{DOWNLOAD} resnet101` (171 MB), then the README's script for a picture of your own "
        'with `load_classifier("resnet101")` and `grad_cam(photo, 10)`; tested without weights. '
        "(It holds torchvision's newer weights; `pretrained=True` meant the original ones.) The "
        "document's code cannot run as printed: it reads a key that its example does not set, "
        "and never defines a ResNet's layer",
        (Place("tests/course/test_reproduction.py::test_resnet_101_gives_the_map_of_class_10"),),
    ),
    Row("The result pictures", CANNOT, "shown without a name"),
)
SOURCES = {
    "The question on StackOverflow: CAM in VGG16": QUESTION,
    "Implementation of Class Activation Map with PyTorch": ARTICLE_CAM,
    "Implementing Grad-CAM in PyTorch": ARTICLE_GRAD_CAM,
    "Global Average Pooling (GAP)": GAP,
}


class Figure(NamedTuple):
    """A logit that the Grad-CAM article prints."""

    case: str  #: a key of `data/published.json`
    network: str
    label: str
    logit: float
    measured: str  #: what was measured here and when, or "no"
    state: str


@functools.cache
def sections(notebook: str) -> dict[str, str]:
    """The text of a notebook, code included, by the headings (`## ...`) that it stands below."""
    heading, found = "", {"": ""}
    for cell in nbformat.read(NOTEBOOKS / notebook, 4).cells:
        for line in cell.source.splitlines():
            if cell.cell_type == "markdown" and line.startswith("## "):
                heading = line.removeprefix("## ")
            found[heading] = found.get(heading, "") + line + "\n"
    return found


def headings(place: Place) -> list[str]:
    """The headings of the sections that hold what the place says: one, if all is well."""
    return [heading for heading, text in sections(place.file).items() if place.holds in text]


def published_figures(cases: dict[str, Any] | None = None) -> list[Figure]:
    """All figures that the Grad-CAM article prints, with what was measured here.

    Args:
        cases: as in `data/published.json`, which is read by default. `"measured"` is null, or what
            `tests/course/test_published.py --pretrained` prints.
    """
    if cases is None:
        cases = json.loads(data_path("published.json").read_text("utf-8"))["cases"]
    figures = []
    for case, about in cases.items():
        measured = about.get("measured")
        state = CONNECTION if case == "elephants" else CANNOT
        if measured:
            in_order = measured["ranks"] == list(range(1, len(about["top"]) + 1))
            state = HERE if in_order else OTHER_ORDER
        for i, (_, label, logit) in enumerate(about["top"]):
            text = "no"
            if measured:
                here = measured["logits"][i]
                text = f"{here:.4f} ({here - logit:+.4f}), rank {measured['ranks'][i]}, "
                text += measured["date"]
            figures.append(Figure(case, about["network"], label, logit, text, state))
    return figures


def _link(place: Place) -> str:
    if place.holds:
        name = place.file.removesuffix(".ipynb")
        return f"[{name}]({place.file}), {' or '.join(headings(place)) or 'nowhere'}"
    file, _, name = place.file.partition("::")
    return f"`{name}` in `{file}`"


def table() -> str:
    """The page, in Markdown."""
    rows = [row for source in SOURCES.values() for row in source]
    counts = [sum(row.state == state for row in rows) for state in STATES]
    later = sum(LATER in row.how for row in rows if row.state == STAND_IN)
    lines = [
        "# What is reproduced",
        "",
        "<!-- Written by `python -m camutils.course.reproduction`: change the table there. -->",
        "",
        f"The steps that we find in the four sources ({len(rows)}) and each logit that they print "
        f"({len(published_figures())}), and what became of it here. The steps:",
        "",
        "| state | steps | it means |",
        "|---|---|---|",
    ]
    lines += [f"| {s} | {n} | {STATES[s]} |" for s, n in zip(STATES, counts, strict=True)]
    lines += [
        "",
        f"Of the {counts[1]} stand-ins {later} give way to the article's own network, VGG19 or "
        f"DenseNet201, after `{DOWNLOAD} vgg19 densenet201`. Oxford's convolutions are those of "
        "the VGG authors' own VGG16, on which torchvision's `vgg16(pretrained=True)` is modelled: "
        "the same layers, other numbers. Commands are run in the repository's folder, installed "
        "as the README's test command installs it.",
    ]
    for title, source in SOURCES.items():
        lines += ["", f"## {title}", "", "| step | state | how | where |", "|---|---|---|---|"]
        for row in source:
            where = "; ".join(_link(place) for place in row.places)
            lines.append(f"| {row.printed} | {row.state} | {row.how} | {where} |")
    return "\n".join(lines + _figures()) + "\n"


def _figures() -> list[str]:
    figures = published_figures()
    measured = sum(figure.measured != "no" for figure in figures)
    away = sum(figure.case == "elephants" for figure in figures)
    if measured:
        said = f"**{measured} of them have been measured here**, the others not"
    else:
        said = (
            "**None of them has been measured here**: the weights could not be fetched where this "
            "repository was made"
        )
    lines = [
        "",
        f"## The {len(figures)} published logits",
        "",
        "All are from *Implementing Grad-CAM in PyTorch*; the other sources print no figure of a "
        f"network's answer. {said}. For {away} of them network and picture can be downloaded: "
        f"`{COMMAND}` (without `-n`, which swallows what it prints) fetches both, 625 MB with "
        "DenseNet201, fails unless the three classes come in the published order, prints "
        "published, measured and difference, and what to put into `data/published.json` so that "
        "it is shown below. How far the logits may lie apart is not known, so only the "
        f"order is tested. The pictures of the other {len(figures) - away} were never published "
        "as files. (Their network is not quite torchvision's DenseNet201 either: the article's "
        "wrapper leaves out a ReLU.)",
        "",
        "| picture | network | class | published | measured here | state |",
        "|---|---|---|---|---|---|",
    ]
    return lines + [f"| {' | '.join(map(str, figure))} |" for figure in figures]


def main() -> None:
    """Write the page."""
    text = table()
    with whole_file(PAGE) as path:
        Path(path).write_text(text, "utf-8", newline="\n")
    print(f"{PAGE.name} is written.")


if __name__ == "__main__":
    main()
