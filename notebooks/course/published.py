"""What the articles printed, beside what was measured here."""

import datetime
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torchvision

from camutils.data import data_path
from camutils.download import ORIGINALS, download_original
from camutils.images import load_image
from camutils.models import Classifier, Prediction, load_classifier


@dataclass(frozen=True)
class Reproduction:
    """A published list of answers and what the real network says to the picture fetched for it."""

    case: str  #: a key of `data/published.json`
    network: str
    picture: Path
    published: list[tuple[str, str, float]]  #: WordNet id, label and logit, as printed
    measured: list[Prediction]  #: the answers to all classes, the largest logit first

    def is_in_order(self) -> bool:
        """Whether the first answers are the published classes in the published order.

        The logits are not compared: how far they may lie apart, nobody has measured.
        """
        first = self.measured[: len(self.published)]
        return [answer.wnid for answer in first] == [wnid for wnid, *_ in self.published]

    def record(self) -> dict[str, Any]:
        """What belongs into `data/published.json` as the case's `"measured"`.

        The date, the version of torchvision, the SHA-256 of the picture, and rank and logit of each
        published class.
        """
        found = self._found()
        return {
            "date": datetime.date.today().isoformat(),
            "torchvision": torchvision.__version__,
            "picture_sha256": hashlib.sha256(self.picture.read_bytes()).hexdigest(),
            "ranks": [rank for rank, _ in found],
            "logits": [round(answer.logit, 6) for _, answer in found],
        }

    def __str__(self) -> str:
        """A table: rank and logit of each published class, and the difference."""
        head = ("published", "measured", "difference", "rank")
        lines = [f"{self.case}, {self.network}", " " * 38 + "".join(f"{word:>12}" for word in head)]
        for (wnid, label, logit), (rank, answer) in zip(self.published, self._found(), strict=True):
            figures = f"{logit:12.4f}{answer.logit:12.4f}{answer.logit - logit:+12.4f}{rank:12}"
            lines.append(f"  {wnid} {label:26}{figures}")
        return "\n".join(lines)

    def _found(self) -> list[tuple[int, Prediction]]:
        """Rank and answer of each published class."""
        answers = {answer.wnid: (i, answer) for i, answer in enumerate(self.measured, start=1)}
        return [answers[wnid] for wnid, *_ in self.published]


def reproduce(case: str) -> Reproduction:
    """Fetch a published case's network and picture, unless they are here, and ask the network.

    Args:
        case: a key of `data/published.json` whose picture has an address, as `"elephants"`.

    Raises:
        ValueError: no such case (the message lists those there are), or its picture was never
            published as a file.
        WeightsError: the weights are damaged or could not be fetched.
        OSError, HTTPException, ImageError: the picture could not be fetched or is none.
    """
    about = _case(case)
    if case not in ORIGINALS:
        raise ValueError(f"case: got {case!r}, whose picture was never published as a file.")
    picture = download_original(case)
    classifier = load_classifier(about["network"], "pretrained")
    measured = classifier.predict(load_image(picture), k=len(classifier.categories))
    published = [tuple(row) for row in about["top"]]
    return Reproduction(case, about["network"], picture, published, measured)


def compare_published(case: str, classifier: Classifier) -> str:
    """The published top three of a picture and this classifier's logits for them, as a text table.

    Only the same network with its trained weights on the same picture is compared; otherwise the
    table says what is missing.

    Args:
        case: a key of `data/published.json`, as `"elephants"`.
        classifier: what `load_classifier` gave.

    Raises:
        ValueError: no such case; the message lists those there are.
    """
    about = _case(case)
    network, top = about["network"], about["top"]
    picture = data_path("originals", about["picture"])
    missing = []
    if classifier.name != network or not classifier.trained:
        missing.append(f"{network}'s weights (python -m camutils.download {network})")
    if not picture.is_file() or os.environ.get("CAMUTILS_WEIGHTS") == "embedded":
        missing.append(f"the article's picture (data/originals/{picture.name})")
    measured = {}
    if not missing:
        answers = classifier.predict(load_image(picture), k=len(classifier.categories))
        measured = {answer.wnid: f"{answer.logit:.2f}" for answer in answers}
    lines = [f"{case}, {network}: published, measured"]
    for wnid, label, logit in top:
        lines.append(f"  {wnid} {label:26}{logit:6.2f} {measured.get(wnid, '-'):>9}")
    if missing:
        lines.append("  not measured; missing: " + " and ".join(missing))
    return "\n".join(lines)


def _case(name: str) -> dict[str, Any]:
    cases = json.loads(data_path("published.json").read_text("utf-8"))["cases"]
    if name not in cases:
        raise ValueError(f"case: got {name!r}, expected one of {', '.join(cases)}.")
    return cases[name]
