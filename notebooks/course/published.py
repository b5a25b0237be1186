"""What the article printed, beside what was measured here.

`python -m course.published` prints how far other preprocessing moves an embedded network's logits:
by so much a logit that is measured may differ from one that is printed.
"""

import datetime
import hashlib
import json
import os
import platform
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from camutils import Classifier, data_path, load_classifier, load_image
from camutils.download import ORIGINALS, download_original
from camutils.models import Prediction

from .photographs import labelled_photographs

# Squashed with bicubic instead of bilinear interpolation, the three largest logits of an embedded
# network differ by at most 0.35 in half of 29 photographs, and by at most 1.33 in all of them.
CLOSE = 1.0

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Reproduction:
    """A printed list of answers and what the real network says to the picture fetched for it."""

    case: str  #: a key of `data/published.json`
    network: str
    variant: str  #: "" or what was changed in the network's forward pass
    picture: Path
    published: list[tuple[str, str, float]]  #: WordNet id, label and logit, as printed
    measured: list[Prediction]  #: the answers to all classes, the largest logit first

    def is_in_order(self) -> bool:
        """Whether the first answers are the printed classes in the printed order."""
        first = self.measured[: len(self.published)]
        return [answer.wnid for answer in first] == [wnid for wnid, *_ in self.published]

    def differences(self) -> list[float]:
        """Measured minus printed logit of each printed class."""
        pairs = zip(self.published, self._found(), strict=True)
        return [answer.logit - logit for (*_, logit), (_, answer) in pairs]

    def verdict(self) -> str:
        """Whether this is the picture and the network that the list was printed for, in words."""
        largest = max(map(abs, self.differences()))
        first = self.measured[: len(self.published)]
        if {wnid for wnid, *_ in self.published} != {answer.wnid for answer in first}:
            return "The fingerprint does not fit: other classes."
        if not self.is_in_order():
            # Bicubic interpolation alone does that to some photographs (`main` prints to how many).
            return f"The same classes in another order; they differ by up to {largest:.2f}."
        if largest > CLOSE:
            return f"Classes and order fit, the logits do not: they differ by up to {largest:.2f}."
        return f"The fingerprint fits: classes, order, and logits to within {largest:.2f}."

    def record(self) -> dict[str, Any]:
        """What belongs into `data/published.json` as the case's `"measured"`.

        The date, versions, processor, the file of the weights (with the beginning of its SHA-256 in
        its name), the SHA-256 of the picture, and rank, logit and difference of each printed class.
        """
        found = self._found()
        return {
            "date": datetime.date.today().isoformat(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "processor": platform.processor() or platform.machine(),
            "variant": self.variant,
            "weights": Path(models.get_model_weights(self.network).DEFAULT.url).name,
            "picture_sha256": hashlib.sha256(self.picture.read_bytes()).hexdigest(),
            "ranks": [rank for rank, _ in found],
            "logits": [round(answer.logit, 6) for _, answer in found],
            "differences": [round(difference, 6) for difference in self.differences()],
        }

    def __str__(self) -> str:
        """A table: rank and logit of each printed class, and the difference; then the verdict."""
        head = ("published", "measured", "difference", "rank")
        title = ", ".join(filter(None, (self.case, self.network, self.variant)))
        lines = [title, " " * 38 + "".join(f"{word:>12}" for word in head)]
        rows = zip(self.published, self._found(), self.differences(), strict=True)
        for (wnid, label, logit), (rank, answer), difference in rows:
            figures = f"{logit:12.4f}{answer.logit:12.4f}{difference:+12.4f}{rank:12}"
            lines.append(f"  {wnid} {label:26}{figures}")
        return "\n".join([*lines, f"  {self.verdict()}"])

    def _found(self) -> list[tuple[int, Prediction]]:
        """Rank and answer of each printed class."""
        answers = {answer.wnid: (i, answer) for i, answer in enumerate(self.measured, start=1)}
        return [answers[wnid] for wnid, *_ in self.published]


class DenseNetWithoutReLU(nn.Module):
    """DenseNet as the article's text has it: features, their mean, the classifier.

    torchvision's own forward pass has a ReLU before the mean. The appendix of notebook 03 builds
    this network by hand.
    """

    def __init__(self, densenet: nn.Module) -> None:
        super().__init__()
        self.features = densenet.features
        self.classifier = densenet.classifier

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) → (N, n_classes)."""
        return self.classifier(self.features(x).mean((2, 3)))


def without_relu(densenet: Classifier) -> Classifier:
    """The same classifier with the forward pass of `DenseNetWithoutReLU`."""
    return replace(densenet, model=DenseNetWithoutReLU(densenet.model).eval())


def reproduce(case: str) -> list[Reproduction]:
    """Fetch a printed case's network and picture, unless they are here, and ask the network.

    Args:
        case: a key of `data/published.json` whose picture has an address, as `"elephants"`.

    Returns:
        One measurement; for DenseNet two, as torchvision runs it and without its last ReLU.

    Raises:
        ValueError: no such case (the message lists those there are), or its picture was never
            published as a file.
        WeightsError: the weights are damaged or could not be fetched.
        OSError, HTTPException, ImageError: the picture could not be fetched or is none.
    """
    about = _case(case)
    if case not in ORIGINALS:
        raise ValueError(f"case is {case!r}, whose picture was never published as a file.")
    picture = download_original(case)
    classifier = load_classifier(about["network"], "pretrained")
    variants = {"": classifier}
    if about["network"].startswith("densenet"):
        variants["no ReLU before the mean"] = without_relu(classifier)
    published = [tuple(row) for row in about["top"]]
    image = load_image(picture)
    found = []
    for variant, network in variants.items():
        measured = network.predict(image, k=len(network.categories))
        found.append(Reproduction(case, about["network"], variant, picture, published, measured))
    return found


def fit_crop(
    case: str, classifier: Classifier, image: Image.Image, steps: int = 6
) -> tuple[Box, list[float], int]:
    """The crop whose logits come nearest to a printed list: a fit, which is no measurement.

    Args:
        case: a key of `data/published.json`, as `"iguana cropped"`, whose box was never published.
        classifier: the network.
        image: the full frame.
        steps: the edges of the boxes lie on so many equal parts of either side; a box has at least
            two of them.

    Returns:
        The box (left, upper, right, lower), its three logits, and how many boxes were tried: with
        so many to choose from, one of them comes near to any list of likely classes.

    Raises:
        ValueError: no such case.
    """
    top = _case(case)["top"]
    printed = torch.tensor([logit for *_, logit in top])
    columns = [classifier.wnids.index(wnid) for wnid, *_ in top]
    edges = [pair for pair in combinations(range(steps + 1), 2) if pair[1] - pair[0] > 1]
    best: tuple[float, Box, list[float]] | None = None
    for left, right in edges:
        across = (left * image.width // steps, right * image.width // steps)
        down = [(u * image.height // steps, v * image.height // steps) for u, v in edges]
        boxes = [(across[0], upper, across[1], lower) for upper, lower in down]
        x = torch.stack([classifier.preprocess(image.crop(box)) for box in boxes])
        with torch.inference_mode():
            logits = classifier.model(x)[:, columns]
        distances = (logits - printed).abs().amax(1)
        i = distances.argmin().item()
        if best is None or distances[i].item() < best[0]:
            best = (distances[i].item(), boxes[i], logits[i].tolist())
    return best[1], best[2], len(edges) ** 2


def original(name: str) -> Path | None:
    """The file of a photograph of the sources that the reader has fetched; None if it is not here.

    None also in runs with embedded weights, whose outputs are committed and published: what is
    fetched is for the reader alone.
    """
    file, *_ = ORIGINALS[name]
    path = data_path("originals", file)
    if os.environ.get("CAMUTILS_WEIGHTS") == "embedded" or not path.is_file():
        return None
    return path


def printed_lists() -> dict[str, list[tuple[str, float]]]:
    """The six lists of logits that the article prints: case → (label, logit), the largest first."""
    return {
        name: [(label, logit) for _, label, logit in case["top"]] for name, case in _cases().items()
    }


def compare_published(case: str, classifier: Classifier) -> str:
    """The printed top three of a picture and this classifier's logits for them, as a text table.

    Only the same network with its trained weights on the same picture is compared; otherwise the
    table says what is missing.

    Args:
        case: a key of `data/published.json`, as `"elephants"`.
        classifier: what `load_classifier` gave.

    Raises:
        ValueError: no such case; the message lists those there are.
    """
    about = _case(case)
    network = about["network"]
    picture = original(case) if case in ORIGINALS else None
    missing = []
    if classifier.name != network or not classifier.trained:
        missing.append(f"{network}'s weights (python -m camutils.download {network})")
    if case not in ORIGINALS:
        missing.append("the article's picture, which was never published as a file")
    elif picture is None:
        missing.append(f"the article's picture (data/originals/{ORIGINALS[case][0]})")
    measured = {}
    if not missing:
        answers = classifier.predict(load_image(picture), k=len(classifier.categories))
        measured = {answer.wnid: f"{answer.logit:.2f}" for answer in answers}
    lines = [f"{case}, {network}: published, measured"]
    for wnid, label, logit in about["top"]:
        lines.append(f"  {wnid} {label:26}{logit:6.2f} {measured.get(wnid, '-'):>9}")
    if missing:
        lines.append("  not measured; missing: " + " and ".join(missing))
    return "\n".join(lines)


def other_preprocessing(classifier: Classifier) -> dict[str, Compose]:
    """Other ways to make a picture as large as the network's input, by their names."""
    first, *rest = classifier.preprocess.transforms
    size = first.size
    own = {"interpolation": first.interpolation, "antialias": True}
    bilinear = InterpolationMode.BILINEAR
    to_tensor, normalise = rest
    return {
        "squashed, bilinear": Compose([Resize(size, bilinear, antialias=True), *rest]),
        "squashed, bicubic": Compose([Resize(size, InterpolationMode.BICUBIC), *rest]),
        "squashed, bilinear, no antialiasing": Compose(
            [to_tensor, Resize(size, bilinear, antialias=False), normalise]
        ),
        "resized to 256, the middle 224": Compose([Resize(256, **own), CenterCrop(224), *rest]),
    }


def main() -> None:
    """Print how far other preprocessing moves the three largest logits of 29 photographs."""
    images = [load_image(photo.path) for photo in labelled_photographs()]
    for name in ("efficientnet_lite0", "vgg16_animals"):
        classifier = load_classifier(name, "embedded")
        ours = _logits(classifier.model, classifier.preprocess, images)
        top = ours.topk(3).indices
        print(f"{name}: the largest difference of the three largest logits of {len(images)} photos")
        for way, preprocess in other_preprocessing(classifier).items():
            logits = _logits(classifier.model, preprocess, images)
            moved = (logits - ours).gather(1, top).abs().amax(1)
            same = (logits.topk(3).indices == top).all(1).sum().item()
            print(
                f"  {way:36} median {moved.median():.2f}, at most {moved.max():.2f}; "
                f"same three in the same order {same}"
            )


def _logits(model: nn.Module, preprocess: Compose, images: list[Image.Image]) -> Tensor:
    with torch.inference_mode():
        return torch.cat([model(preprocess(image)[None]) for image in images])


def _cases() -> dict[str, dict[str, Any]]:
    return json.loads(data_path("published.json").read_text("utf-8"))["cases"]


def _case(name: str) -> dict[str, Any]:
    cases = _cases()
    if name not in cases:
        raise ValueError(f"case is {name!r}; it must be one of {', '.join(cases)}.")
    return cases[name]


if __name__ == "__main__":
    main()
