"""The search for a second animal that takes a network's answer away from the first.

`python -m camutils.course.distraction` repeats it (about five minutes on two cores) and writes
`data/scenes/distraction_search.json`, which notebook 03 reads.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from camutils import Classifier, crop_box, data_path, load_classifier, load_image
from camutils.data import whole_file

from .figures import read_attribution
from .masks import Photograph, labelled_photographs, photograph_mask, photographs
from .scenes import compose_scene

FREE = ("Public domain", "CC0-1.0")
WIDTH = 768  # No scene is wider, so that a cut-out of 512 pixels need not be enlarged.
HEIGHTS = (0.45, 0.6)  # Of the second animal, as shares of the scene's.
FEET = (0.8, 0.95)  # Where it stands, likewise, from above.
PLACES = 6  # From the left edge to the right one.
MOST_HIDDEN = 0.05  # So much of the first animal may lie behind the second.
SHADE = 0.35
RESULT = ("scenes", "distraction_search.json")


class Outcome(NamedTuple):
    """What a network says of a scene with two animals."""

    answer: int  #: its first answer, from 0 to 999
    is_wrong: bool  #: the first animal is not its first answer
    is_mended: bool  #: but it is in the crop that the map of its own class proposes


def free_photographs() -> list[Photograph]:
    """The photographs with a mask that are in the public domain or CC0."""
    rows = read_attribution()
    return [photo for photo in photographs() if rows[_below_data(photo)]["licence"] in FREE]


def hosts(classifier: Classifier) -> list[Photograph]:
    """Those of `free_photographs` whose animal is the classifier's first answer."""
    labelled = {photo.path for photo in labelled_photographs()}
    return [
        photo
        for photo in free_photographs()
        if photo.path in labelled
        and classifier.predict(background(photo), k=1)[0].index in photo.accepted
    ]


def second_animals() -> list[Photograph]:
    """Those of `free_photographs` whose first animal is whole: it touches no edge."""
    found = []
    for photo in free_photographs():
        left, upper, right, lower = photo.boxes[0]
        height, width = photograph_mask(photo.path).shape
        if min(left, upper) > 3 and right < width - 3 and lower < height - 3:
            found.append(photo)
    return found


def background(host: Photograph) -> Image.Image:
    """The photograph of the first animal, at most `WIDTH` pixels wide."""
    image = load_image(host.path)
    if image.width <= WIDTH:
        return image
    height = round(image.height * WIDTH / image.width)
    return image.resize((WIDTH, height), Image.Resampling.LANCZOS)


def placements(host: Photograph, second: Photograph) -> Iterator[dict[str, Any]]:
    """Items for `compose_scene`: the second animal in each place of the grid that has room."""
    image = background(host)
    mask = Image.fromarray(photograph_mask(host.path)).resize(image.size)
    first = np.asarray(mask)
    left, upper, right, lower = second.boxes[0]
    for share in HEIGHTS:
        scale = min(share * image.height / (lower - upper), 1)
        width, height = round((right - left) * scale), round((lower - upper) * scale)
        for feet in FEET:
            top = round(feet * image.height) - height
            for x in np.linspace(4, image.width - width - 4, PLACES).round().astype(int).tolist():
                hidden = first[max(0, top) : top + height, max(0, x) : x + width].sum()
                if top < 4 or x < 4 or hidden > 4 * MOST_HIDDEN * first.sum():
                    continue
                for flip in (False, True):
                    item = {"cutout": _below_data(second), "scale": scale, "at": [x, top]}
                    item |= {"flip": flip, "shade": SHADE}
                    (seen,) = compose_scene(image, [item])[1]
                    if (first & seen).sum() <= MOST_HIDDEN * first.sum():
                        yield item


def judge(
    classifier: Classifier, image: Image.Image, items: list[dict[str, Any]], host: Photograph
) -> list[Outcome]:
    """What the classifier says of scenes with one item each, and of the crops where it errs."""
    scenes = [compose_scene(image, [item])[0] for item in items]
    answers = []
    for start in range(0, len(scenes), 32):
        x = torch.stack([classifier.preprocess(scene) for scene in scenes[start : start + 32]])
        with torch.inference_mode():
            answers += classifier.model(x).argmax(1).tolist()
    outcomes = []
    for scene, answer in zip(scenes, answers, strict=True):
        is_wrong, is_mended = answer not in host.accepted, False
        if is_wrong:
            heat = classifier.grad_cam(scene, host.index).maps[0, 0]
            crop = scene.crop(crop_box(heat, scene.size))
            is_mended = classifier.predict(crop, k=1)[0].index in host.accepted
        outcomes.append(Outcome(answer, is_wrong, is_mended))
    return outcomes


def search_pair(classifier: Classifier, host: Photograph, second: Photograph) -> dict[str, Any]:
    """Try a pair in all its places: how many there are, are wrong, are wrong and mended."""
    outcomes = judge(classifier, background(host), list(placements(host, second)), host)
    wrong = [outcome.answer for outcome in outcomes if outcome.is_wrong]
    return {
        "first": host.path.stem,
        "second": second.path.stem,
        "places": len(outcomes),
        "wrong": len(wrong),
        "mended": sum(outcome.is_mended for outcome in outcomes),
        "answers": sorted({classifier.categories[answer] for answer in wrong}),
    }


def read_search() -> list[dict[str, Any]]:
    """The stored result: one entry as of `search_pair` for each pair that has a place."""
    return json.loads(data_path(*RESULT).read_text("utf-8"))["pairs"]


def main() -> None:
    """Try all pairs with the embedded network and store what came of it."""
    classifier = load_classifier("efficientnet_lite0")
    pairs = []
    for host in hosts(classifier):
        for second in second_animals():
            if second.path != host.path:
                pair = search_pair(classifier, host, second)
                pairs += [pair] if pair["places"] else []
        print(host.path.stem, len(pairs), flush=True)
    note = "Written by python -m camutils.course.distraction with efficientnet_lite0."
    lines = ",\n".join(f"    {json.dumps(pair)}" for pair in pairs)
    with whole_file(data_path(*RESULT)) as path:
        path.write_text(f'{{\n  "note": "{note}",\n  "pairs": [\n{lines}\n  ]\n}}\n', "utf-8")


def _below_data(photo: Photograph) -> str:
    return photo.path.relative_to(data_path()).as_posix()


if __name__ == "__main__":
    main()
