"""The page on which a logit is taken apart by hand: `python notebooks/pages/explorer.py [FOLDER]`.

`explorer.html` needs no connection, kernel or server: it holds pictures, the evidence of every cell
for every class, and the script that adds them up. `network.js` beside it is the network itself, for
pictures of the reader's own. FOLDER gets these two files, for a USB stick or any web server; the
site's build writes them beside its pages.
"""

import argparse
import base64
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from camutils import Classifier, data_path, load_classifier, load_image
from camutils.data import whole_file
from course.credits import credits_html
from course.evidence import cell_evidence

TEMPLATE = Path(__file__).with_name("explorer_template.html")
SCRIPT = Path(__file__).with_name("explorer.js")
NETWORK_SCRIPT = Path(__file__).with_name("network.js")
HOME = '<p class="course"><a href="index.html">Class activation maps</a></p>\n'
NETWORK = "efficientnet_lite0"
KINDS = {".jpg": "jpeg", ".webp": "webp"}
EXACT = 20  # The first convolutions, small ones: float16 there moves logits three times as far.
BLOCK = 3  # cells
LEAST_OF_A_CELL = 0.5  # So much of a cell has to lie on the animal for the cell to be its.
CHANGES = "heat map and cells laid over"


class Picture(NamedTuple):
    """A picture of the page."""

    file: str  #: below `data`
    title: str
    alt: str
    masks: tuple[tuple[str, str], ...] = ()  #: what is covered, and the file of its mask


def _photograph(file: str, title: str, alt: str, animal: str) -> Picture:
    mask = f"masks/{file.rpartition('.')[0]}.png"
    return Picture(file, title, alt, ((animal, mask),))


def _composite(name: str, title: str, alt: str, **animals: str) -> Picture:
    masks = [(words, f"scenes/{name}_{key}_mask.png") for key, words in animals.items()]
    return Picture(f"scenes/{name}.jpg", title, alt, tuple(masks))


PICTURES = (
    _photograph(
        "scenes/polar_bear.webp",
        "Polar bear",
        "A polar bear walks to the right over stones and snow; bare bushes behind it.",
        "the bear",
    ),
    _photograph(
        "photos/animal/jaguar.webp",
        "Jaguars",
        "Two spotted jaguars sit on a rock and play, one with a paw on the other.",
        "the jaguars",
    ),
    Picture(
        "unseen/hammer5.webp",
        "Hammer",
        "A claw hammer with a red handle on a white ground, its head at the upper left.",
    ),
    _composite(
        "elephants",
        "Two elephants",
        "A large elephant and, to its right, a small one stand in tall grass.",
        elephant="the elephants",
    ),
    _composite(
        "dragon_and_macaw",
        "Dragon and macaw",
        "A Komodo dragon lies on bare rock; a scarlet macaw stands before it on the right.",
        scarlet_macaw="the macaw",
    ),
    _photograph(
        "unseen/dog.webp",
        "German shepherd",
        "A German shepherd stands on grass, its head at the upper right.",
        "the dog",
    ),
    _photograph(
        "photos/animal/lemur.webp",
        "Ring-tailed lemurs",
        "A ring-tailed lemur looks out from a log; a second one behind it turns away.",
        "the lemurs",
    ),
    _photograph(
        "scenes/dragon.webp",
        "Komodo dragon",
        "A Komodo dragon lies on bare rock, its head at the right.",
        "the dragon",
    ),
    _photograph(
        "photos/animal/kingfisher.webp",
        "Kingfisher",
        "A blue and orange kingfisher sits on a twig before a plain ground.",
        "the kingfisher",
    ),
    _photograph(
        "photos/animal/koala.webp",
        "Koala",
        "A koala sits in the fork of a tree, its head at the upper left.",
        "the koala",
    ),
    _photograph(
        "scenes/lizard.webp",
        "Garden lizard",
        "A scaly brown lizard on a twig among green leaves.",
        "the lizard",
    ),
    Picture(
        "photos/monument/statue_of_liberty.webp",
        "Statue of Liberty",
        "The Statue of Liberty before a deep blue sky; the top of its pedestal at the bottom.",
    ),
)


def write_explorer(path: Path) -> None:
    """Write the page, and `network.js` beside it; written twice, the files are equal.

    Where the site's `index.html` lies beside it, the page has a link there.
    """
    classifier = load_classifier(NETWORK, "embedded")
    page = explorer_page(classifier)
    home = HOME if path.with_name("index.html").exists() else ""
    texts = {path: page.replace("{{home}}", home)}
    texts[path.with_name("network.js")] = network_script(classifier)
    for file, text in texts.items():
        with whole_file(file) as temporary:
            temporary.write_text(text, "utf-8", newline="\n")


def network_script(classifier: Classifier) -> str:
    """The code of `network.js`, and the network's layers and weights as its last line.

    The weights are float16; `rest` is what the first ones lose by that, in float16 again.
    """
    normalize = classifier.preprocess.transforms[-1]
    layers = []
    weights = []
    n_weights = 0
    side = 224
    for convolution, role in convolutions(classifier.model):
        (kernel, _), (stride, _) = convolution.kernel_size, convolution.stride
        # TensorFlow's padding is uneven: left, right, top, bottom.
        padding = getattr(convolution, "static_padding", None)
        before, after, *_ = getattr(padding, "padding", (0, 0))
        side = (side + before + after - kernel) // stride + 1
        layer = {
            "from": convolution.in_channels,
            "to": convolution.out_channels,
            "kernel": kernel,
            "stride": stride,
            "before": before,
            "side": side,
            "isDepthwise": convolution.groups > 1,
        }
        for name in ("weight", "bias"):
            values = getattr(convolution, name).detach().flatten()
            layer[name] = n_weights
            weights.append(values)
            n_weights += len(values)
        layers.append(layer | dict.fromkeys(role, True))
    values = torch.cat(weights)
    exact = values[: layers[EXACT]["weight"]]
    network = {
        "layers": layers,
        "mean": list(normalize.mean),
        "std": list(normalize.std),
        "weights": _packed(values),
        "rest": _packed(exact - exact.half().float()),
    }
    return f"{NETWORK_SCRIPT.read_text('utf-8')}\nconst NETWORK = {json.dumps(network)};\n"


def convolutions(model: nn.Module) -> Iterator[tuple[nn.Conv2d, tuple[str, ...]]]:
    """The network's convolutions in their order, batch norm folded in, and what else each does.

    The last one is the linear layer without its bias: applied to every cell, it gives the CAM.
    """
    stem, stem_norm, _, *blocks, top, top_norm, _ = model.features
    yield fuse_conv_bn_eval(stem, stem_norm), ("relu6",)
    for block in blocks:
        convolutions = []
        if hasattr(block, "_expand_conv"):
            convolutions.append(fuse_conv_bn_eval(block._expand_conv, block._bn0))
        convolutions.append(fuse_conv_bn_eval(block._depthwise_conv, block._bn1))
        last = fuse_conv_bn_eval(block._project_conv, block._bn2)
        # The input is added to the output where both have the same shape.
        is_added = convolutions[0].in_channels == last.out_channels
        is_added = is_added and tuple(convolutions[-1].stride) == (1, 1)
        for index, convolution in enumerate(convolutions):
            yield convolution, ("relu6", "isStart") if is_added and index == 0 else ("relu6",)
        yield last, ("isEnd",) if is_added else ()
    yield fuse_conv_bn_eval(top, top_norm), ("relu6",)
    linear = model.classifier[-1]
    head = nn.Conv2d(linear.in_features, linear.out_features, 1)
    head.weight = nn.Parameter(linear.weight[:, :, None, None])
    head.bias = nn.Parameter(torch.zeros(linear.out_features))
    yield head, ()


def explorer_page(classifier: Classifier) -> str:
    """The page as one HTML text with everything that the prepared pictures need."""
    levels = matplotlib.colormaps["inferno"](np.arange(256), bytes=True)[:, :3]
    pictures = [_entry(classifier, picture) for picture in PICTURES]
    data = {
        "names": class_names(classifier.categories),
        "bias": _packed(classifier.model.classifier[-1].bias),
        "inferno": levels.tobytes().hex(),
        "cover": [round(255 * mean) for mean in classifier.preprocess.transforms[-1].mean],
        "pictures": pictures,
        "test": self_test(classifier, PICTURES[0]),
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    files = [data_path(*picture.file.split("/")) for picture in PICTURES]
    page = TEMPLATE.read_text("utf-8")
    page = page.replace("{{credits}}", credits_html(files, CHANGES))
    return page.replace("{{data}}", text).replace("{{script}}", SCRIPT.read_text("utf-8"))


def self_test(classifier: Classifier, picture: Picture) -> dict[str, Any]:
    """What the page's own test compares its network with: the notebooks' first three answers."""
    path = data_path(*picture.file.split("/"))
    first = classifier.predict(load_image(path), k=3)
    return {"key": path.stem, "first": [one.index for one in first], "logit": first[0].logit}


def class_names(categories: list[str]) -> list[str]:
    """Names to choose from: with spaces, and with the index where two differ in capitals only."""
    names = [category.replace("_", " ") for category in categories]
    times = Counter(name.lower() for name in names)
    return [f"{name} ({i})" if times[name.lower()] > 1 else name for i, name in enumerate(names)]


def cell_sets(picture: Picture, heat: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Sets of cells to cover: a name, and bool (h, w).

    Args:
        picture: one of `PICTURES`; each of its masks gives a set.
        heat: (h, w), the CAM whose hottest and coldest block are taken.
    """
    # The sum of the block whose upper left cell it is; blocks that reach over the edge are cut off.
    sums = cv2.boxFilter(heat, -1, (BLOCK, BLOCK), anchor=(0, 0), normalize=False)
    sums = sums[: 1 - BLOCK, : 1 - BLOCK]
    for name, place in (("the hottest 3×3 block", sums.argmax()), ("the coldest", sums.argmin())):
        row, column = np.unravel_index(place, sums.shape)
        cells = np.zeros(heat.shape, bool)
        cells[row : row + BLOCK, column : column + BLOCK] = True
        yield name, cells
    for name, file in picture.masks:
        with Image.open(data_path(*file.split("/"))) as mask:
            share = np.array(mask.convert("L").resize(heat.shape[::-1], Image.Resampling.BOX))
        yield name, share >= 255 * LEAST_OF_A_CELL


def _entry(classifier: Classifier, picture: Picture) -> dict[str, Any]:
    """All that the page holds of one picture."""
    path = data_path(*picture.file.split("/"))
    image = load_image(path)
    x = classifier.preprocess(image)
    evidence = cell_evidence(classifier, x)
    bias = classifier.model.classifier[-1].bias
    answer = (evidence.mean((1, 2)) + bias).argmax()
    sets = []
    for name, cells in cell_sets(picture, evidence[answer].numpy()):
        inside = torch.from_numpy(cells)
        # What is ImageNet's mean colour is 0 once it is normalised.
        pixels = inside.repeat_interleave(x.shape[1] // len(cells), 0)
        pixels = pixels.repeat_interleave(x.shape[2] // cells.shape[1], 1)
        covered = cell_evidence(classifier, x.masked_fill(pixels, 0)) / cells.size
        parts = [(covered * part).sum((1, 2)) for part in (inside, ~inside)]
        numbers = np.flatnonzero(cells).tolist()
        sets.append({"name": name, "cells": numbers, "parts": list(map(_packed, parts))})
    # The file itself, so that the page's own network sees the same pixels as the notebooks.
    content = base64.b64encode(path.read_bytes()).decode()
    return {
        "key": path.stem,
        "title": picture.title,
        "alt": picture.alt,
        "size": image.size,
        "source": f"data:image/{KINDS[path.suffix]};base64,{content}",
        "cam": _packed(evidence),
        "sets": sets,
    }


def _packed(values: Tensor) -> str:
    """Float16, little-endian, in base64."""
    return base64.b64encode(values.detach().numpy().astype("<f2").tobytes()).decode()


def main(arguments: list[str] | None = None) -> None:
    """Write the two files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        default=Path("build"),
        metavar="FOLDER",
        help="where explorer.html and network.js go, or the page's own name, ending in .html",
    )
    path = parser.parse_args(arguments).path
    if path.suffix != ".html":
        path = path / "explorer.html"
    write_explorer(path)
    script = path.with_name("network.js")
    sizes = [f"{file.name} {file.stat().st_size / 1e6:.1f} MB" for file in (path, script)]
    print(f"Open {path} in a browser. To pass it on, copy both files: {', '.join(sizes)}.")


if __name__ == "__main__":
    main()
