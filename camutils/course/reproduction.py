"""What is reproduced of the four sources: `python -m camutils.course.reproduction`.

Writes `notebooks/reproduction.md`, a page of the site, from the table below and the figures in
`data/published.json`. Each row says no more than what somebody who opens its place will find there.
"""

import json
from pathlib import Path
from typing import NamedTuple

from camutils.data import data_path, whole_file

PAGE = data_path().parent / "notebooks" / "reproduction.md"
COMMAND = "pytest tests/course/test_published.py --pretrained"
HERE, STAND_IN = "reproduced here", "reproduced on a stand-in"
CONNECTION, CANNOT = "needs a connection", "cannot be"
STATES = {
    HERE: "the step itself, with the source's own network or with pictures of our own where the "
    "source leaves the choice open",
    STAND_IN: "the same step on another network, which is named; what it answers is its own",
    CONNECTION: "nothing but a download is missing, and a command does the rest",
    CANNOT: "the picture was never published",
}
VGG16 = "VGG16 with Oxford's convolutions"
ANIMALS, LITE0 = "vgg16_animals", "efficientnet_lite0"
UNTRAINED = "DenseNet201 with random weights"
CAM_01, GRAD_02 = "01_cam_vgg16.ipynb", "02_gradcam_vgg19_elephants.ipynb"
IGUANA_03 = "03_gradcam_densenet201_iguanas.ipynb"


class Place(NamedTuple):
    """Where a row can be looked up."""

    file: str  #: a notebook, or a test as `tests/.../test_x.py::test_y`
    subject: str = ""  #: of a notebook's section, in words
    holds: str = ""  #: what stands in that notebook, word for word


class Row(NamedTuple):
    """A step or figure of a source."""

    printed: str
    state: str  #: a key of `STATES`
    how: str = ""  #: the network, what differs, what is missing
    places: tuple[Place, ...] = ()


def _in(notebook: str, subject: str, holds: str) -> Place:
    return Place(notebook, subject, holds)


QUESTION = (
    Row(
        "VGG16's layers, as the question prints them",
        HERE,
        VGG16 + "; its three linear layers are untrained, of which only the shapes count",
        (_in(CAM_01, "the question", "print(vgg.avgpool, vgg.classifier"),),
    ),
    Row(
        "The class index by argmax; activations of shape (1, 512, 14, 14); weights of shape "
        "(1000, 4096) and the row of 4096",
        HERE,
        VGG16 + "; the class means nothing, since the linear layers are untrained",
        (_in(CAM_01, "the question", "class_idx = vgg(x).argmax()"),),
    ),
    Row(
        "The dot product that does not exist",
        HERE,
        "the cell fails as the question's code does",
        (_in(CAM_01, "the question", "row @ last_convolution.reshape(512, 14 * 14)"),),
    ),
    Row(
        "The answer: take a network that ends in average pooling and one linear layer, as ResNet",
        STAND_IN,
        f"`{LITE0}` for a trained ResNet; of ResNet-50 only the last layer is looked up",
        (_in(CAM_01, "networks that need no retraining", '"01-no-retraining"'),),
    ),
    Row(
        "Option 1: average pooling and a single linear layer, finetuned on any data set",
        HERE,
        VGG16 + " and four classes of photographs of our own; not on ImageNet",
        (_in(CAM_01, "training the head", "result = fit_head("),),
    ),
    Row(
        "Option 2: the three linear layers as convolutions, on an enlarged picture",
        STAND_IN,
        "the equality on VGG16's own layers, untrained; the map from a small fully connected head "
        "that is trained here",
        (
            _in(CAM_01, "linear layers as convolutions", "def as_convolution("),
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
        "with four folders of our own",
        (_in(CAM_01, "the pictures", "dataset = image_folder("),),
    ),
    Row(
        "One line that removes the fully connected layers",
        HERE,
        VGG16,
        (_in(CAM_01, "the new ending", "list(vgg.children())[:-2]"),),
    ),
    Row(
        "512x7x7 to 512x49, the mean, 512 numbers, one linear layer",
        HERE,
        VGG16,
        (_in(CAM_01, "the new ending", "flat = dog_maps[0].reshape(512, 49)"),),
    ),
    Row(
        "Training of the last layer alone, with cross-entropy",
        HERE,
        "four classes of our own; the article prints no loss and no accuracy to compare with",
        (_in(CAM_01, "training the head", "nn.CrossEntropyLoss()"),),
    ),
    Row(
        "The CAM function: feature maps times the weights of a class, scaled, enlarged, coloured",
        HERE,
        VGG16 + " and the trained head",
        (
            _in(CAM_01, "the article's steps", "def return_cam("),
            Place("tests/course/test_cam_vgg16.py::test_maps_are_those_of_the_reference"),
        ),
    ),
    Row(
        "`features_blobs`, softmax, sorting, the label, the map of the winner",
        HERE,
        "the hook on one picture, the loop on a folder of pictures that were not trained on",
        (_in(CAM_01, "the article's steps", "features_blobs"),),
    ),
    Row("The result pictures", CANNOT, "neither the pictures nor the data set are named"),
)
ARTICLE_GRAD_CAM = (
    Row(
        "The photograph of the elephants from Chollet's book",
        CONNECTION,
        "`python -m camutils.download elephants`; until then a composite of our own",
        (_in(GRAD_02, "the answer", 'scene_path("elephants")'),),
    ),
    Row(
        "VGG19, its last convolution at place 35 of `features`",
        STAND_IN,
        f"`{ANIMALS}`, there at place 29; the real architecture runs with random weights in a test",
        (
            _in(GRAD_02, "the network, taken apart", "features[35]"),
            Place("tests/course/test_notebooks.py::test_runs_on_the_real_architecture"),
        ),
    ),
    Row(
        "A hook on a tensor catches a gradient that is otherwise discarded",
        HERE,
        "on a small tensor",
        (_in(GRAD_02, "the network, taken apart", "register_hook(caught.append)"),),
    ),
    Row(
        "The class that hooks the activation inside `forward` and applies the last pool by hand",
        STAND_IN,
        f"`{ANIMALS}`",
        (_in(GRAD_02, "the network, taken apart", "class DissectedVGG"),),
    ),
    Row(
        "Backward from the logit of 'African_elephant'",
        STAND_IN,
        f"`{ANIMALS}`, on our composite",
        (_in(GRAD_02, "the network, taken apart", "logits[0, c].backward()"),),
    ),
    Row(
        "Gradients averaged, channels weighted, summed, ReLU: a map of 14x14",
        STAND_IN,
        f"`{ANIMALS}`; equal to captum's",
        (
            _in(GRAD_02, "Grad-CAM by hand", "alpha = gradient.mean(dim=(2, 3))"),
            Place("tests/peers/test_animals_captum.py::test_grad_cam_is_captums"),
        ),
    ),
    Row(
        "'By inspecting these channels, we can tell which ones played the most significant role'",
        STAND_IN,
        f"`{ANIMALS}`; the article shows none of them",
        (_in(GRAD_02, "Grad-CAM by hand", '"02-channels"'),),
    ),
    Row(
        "The map enlarged with OpenCV and blended as in the book",
        STAND_IN,
        f"`{ANIMALS}`",
        (_in(GRAD_02, "Grad-CAM by hand", "cv2.resize(heat01.numpy(), photo.size)"),),
    ),
    Row(
        "The heat lies on heads and ears of the elephants",
        CONNECTION,
        f"for VGG19 on the photograph: `{COMMAND}` runs the notebook, a person has to look; "
        f"`{ANIMALS}` on our composite is hottest on ear and cheek",
        (_in(GRAD_02, "Grad-CAM by hand", '"02-elephants"'),),
    ),
    Row(
        "'The same results as Chollet gets': the three classes and their order",
        CONNECTION,
        f"`{COMMAND}`; the book's own figures are not among the sources",
        (Place("tests/course/test_published.py::test_the_elephants_come_in_the_published_order"),),
    ),
    Row(
        "Ears and tusks tell the three elephants apart",
        STAND_IN,
        f"`{LITE0}`: the map is compatible with the tusks, painting them over decides nothing",
        (_in(GRAD_02, "African elephant, tusker, Indian elephant", '"02-why-not"'),),
    ),
    Row(
        "The two sharks, known by mouth and teeth, by body and water",
        CANNOT,
        "two other photographs are looked at in their place",
        (_in(GRAD_02, "two more pictures", "two sharks"),),
    ),
    Row(
        "DenseNet201's last convolution, 'impractical' to reach",
        HERE,
        UNTRAINED + ": one dotted name away, but 32 of 1920 channels",
        (
            _in(IGUANA_03, "inside DenseNet", "features.denseblock4.denselayer32.conv2"),
            Place(
                "tests/course/test_densenet.py::test_norm5_is_the_target_layer_with_all_channels"
            ),
        ),
    ),
    Row(
        "The wrapper: features up to the last batch norm, pooled, classified; maps of 7x7",
        HERE,
        UNTRAINED + "; it leaves out a ReLU that torchvision's own forward pass has",
        (
            _in(IGUANA_03, "inside DenseNet", "features.norm5"),
            Place(
                "tests/course/test_densenet.py::"
                "test_the_wrapper_is_torchvision_with_the_relu_and_not_without"
            ),
        ),
    ),
    Row(
        "The iguana that is an alligator: its map lies on the animal and on the photographer",
        CANNOT,
        "",
    ),
    Row(
        "Wrong answer, map, crop, right answer",
        STAND_IN,
        f"`{LITE0}` on a lizard of our own; a control then shows that its surroundings alone were "
        "not the cause",
        (_in(IGUANA_03, "the wrong answer, and its crop", "LIZARD_CROP"),),
    ),
    Row(
        "The cat that is a dog until it is cropped",
        CANNOT,
        f"our kitten is a cat for `{LITE0}` in the full frame already",
        (_in(IGUANA_03, "the kitten", '"tabby"'),),
    ),
    Row("People before the bullet train, and the map on their faces", CANNOT, "no counterpart"),
    Row(
        "A map of 7x7 is 'a little exaggerated' when projected back",
        STAND_IN,
        f"`{LITE0}`, cells beside the interpolated map",
        (_in(IGUANA_03, "the map's own cells", "a little exaggerated"),),
    ),
    Row(
        "Why not the gradient of the pixels?",
        STAND_IN,
        f"`{ANIMALS}`; the article argues without a picture",
        (_in(GRAD_02, "published, measured, judged", "pixel_gradient"),),
    ),
)
GAP = (
    Row(
        "What *Network in Network* says of global average pooling",
        HERE,
        "in our words",
        (_in(CAM_01, "global average pooling", "Network in Network"),),
    ),
    Row(
        "The drawing: each feature map becomes its mean",
        HERE,
        VGG16 + ", a feature map with its values written in",
        (_in(CAM_01, "global average pooling", '"01-pooling"'),),
    ),
    Row(
        "The target layer `features_29`: 1x512x14x14",
        HERE,
        VGG16 + "; the name is written `features.29` here",
        (_in(CAM_01, "Grad-CAM", '"features.29"'),),
    ),
    Row(
        "A forward hook, and `register_backward_hook` for the gradient",
        STAND_IN,
        f"`{ANIMALS}`; the hook is deprecated, and its successor fails on an in-place ReLU",
        (_in(GRAD_02, "module hooks", "layer.register_backward_hook("),),
    ),
    Row(
        "Mean of the gradients, weighted sum, ReLU, with their formulas",
        STAND_IN,
        f"`{ANIMALS}`",
        (_in(GRAD_02, "Grad-CAM by hand", "\\alpha_k^c"),),
    ),
    Row(
        "The map scaled by its range",
        STAND_IN,
        f"`{ANIMALS}`: on a flat map the document's line divides zero by zero",
        (_in(GRAD_02, "common mistakes", "by_hand = (flat - flat.min())"),),
    ),
    Row(
        "The example with ResNet-101 and `layer4`",
        STAND_IN,
        "ResNet-18 with random weights, by our own function: the document's code reads a key that "
        "its example does not set and never defines a ResNet's layer, so it cannot run as printed",
        (Place("tests/unit/test_models.py::test_every_family_gives_a_map_at_its_target_layer"),),
    ),
    Row("The result pictures", CANNOT, ""),
)
SOURCES = {
    "The question on StackOverflow: CAM in VGG16": QUESTION,
    "Implementation of Class Activation Map with PyTorch": ARTICLE_CAM,
    "Implementing Grad-CAM in PyTorch": ARTICLE_GRAD_CAM,
    "Global Average Pooling (GAP)": GAP,
}


def published_rows() -> list[tuple[str, str, str, float, str]]:
    """Picture, network, class, logit and state of each figure that the Grad-CAM article prints."""
    cases = json.loads(data_path("published.json").read_text("utf-8"))["cases"]
    rows = []
    for case, about in cases.items():
        state = CONNECTION if case == "elephants" else CANNOT
        rows += [(case, about["network"], label, logit, state) for _, label, logit in about["top"]]
    return rows


def _link(place: Place) -> str:
    if place.subject:
        return f"[{place.file.removesuffix('.ipynb')}]({place.file}), {place.subject}"
    file, _, name = place.file.partition("::")
    return f"`{name}` in `{file}`"


def table() -> str:
    """The page, in Markdown."""
    rows = [row for source in SOURCES.values() for row in source]
    counts = [sum(row.state == state for row in rows) for state in STATES]
    figures = published_rows()
    away = sum(state == CONNECTION for *_, state in figures)
    lines = [
        "# What is reproduced",
        "",
        "<!-- Written by `python -m camutils.course.reproduction`: change the table there. -->",
        "",
        f"Each step of the four sources ({len(rows)}) and each figure that they print "
        f"({len(figures)}), and what became of it here. The steps:",
        "",
        "| state | steps | it means |",
        "|---|---|---|",
    ]
    lines += [f"| {s} | {n} | {STATES[s]} |" for s, n in zip(STATES, counts, strict=True)]
    for title, source in SOURCES.items():
        lines += ["", f"## {title}", "", "| step | state | how | where |", "|---|---|---|---|"]
        for row in source:
            where = "; ".join(_link(place) for place in row.places)
            lines.append(f"| {row.printed} | {row.state} | {row.how} | {where} |")
    lines += [
        "",
        f"## The {len(figures)} published logits",
        "",
        "All are from *Implementing Grad-CAM in PyTorch*; the other sources print no figure of a "
        "network's answer. **None of them has been measured here**: this repository was made "
        f"without an internet connection. For {away} of them the network and the picture have "
        f"addresses, and `{COMMAND}` fetches both (625 MB with DenseNet201), fails unless the "
        "three classes come in the published order, and prints published, measured and difference. "
        f"The pictures of the other {len(figures) - away} were never published. (Their network is "
        "not quite torchvision's DenseNet201 either: the article's wrapper leaves out a ReLU.)",
        "",
        "| picture | network | class | published | measured here | state |",
        "|---|---|---|---|---|---|",
    ]
    for case, network, label, logit, state in figures:
        lines.append(f"| {case} | {network} | {label} | {logit} | no | {state} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    with whole_file(PAGE) as path:
        Path(path).write_text(table(), "utf-8", newline="\n")
    print(f"{PAGE.name} is written.")


if __name__ == "__main__":
    main()
