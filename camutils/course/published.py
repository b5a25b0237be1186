"""What the articles printed, beside what was measured here."""

import json
import os

from camutils.data import data_path
from camutils.images import load_image
from camutils.models import Classifier


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
    cases = json.loads(data_path("published.json").read_text("utf-8"))["cases"]
    if case not in cases:
        raise ValueError(f"case: got {case!r}, expected one of {', '.join(cases)}.")
    network, top = cases[case]["network"], cases[case]["top"]
    picture = data_path("originals", cases[case]["picture"])
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
