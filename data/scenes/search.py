"""The search for a second animal that takes a network's answer away from the first.

`python data/scenes/search.py` repeats it (about six minutes on two cores) and writes
`distraction_search.json`, which notebook 03 reads.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from camutils import Classifier, data_path, load_classifier
from camutils.data import whole_file
from course.credits import FREE, read_attribution
from course.distraction import FILLS, RESULT, background, judge
from course.photographs import Photograph, labelled_photographs, photograph_mask, photographs
from course.scenes import compose_scene

HEIGHTS = (0.45, 0.6)  # Of the second animal, as shares of the scene's.
FEET = (0.8, 0.95)  # Where it stands, likewise, from above.
PLACES = 6  # From the left edge to the right one.
MOST_HIDDEN = 0.05  # So much of the first animal may lie behind the second.
SHADE = 0.35


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


def search_pair(classifier: Classifier, host: Photograph, second: Photograph) -> dict[str, Any]:
    """Try a pair in all its places.

    Returns:
        The two animals; how many places there are; in how many the answer is wrong; in how many of
        those the crop mends it; in how many a silhouette leads to a wrong answer as well, by its
        filling; and the wrong answers.
    """
    outcomes = judge(classifier, background(host), list(placements(host, second)), host)
    wrong = [outcome for outcome in outcomes if outcome.is_wrong]
    fills = [name for outcome in wrong for name in outcome.wrong_silhouettes]
    return {
        "first": host.path.stem,
        "second": second.path.stem,
        "places": len(outcomes),
        "wrong": len(wrong),
        "mended": sum(outcome.is_mended for outcome in wrong),
        "silhouettes": {name: fills.count(name) for name in FILLS},
        "answers": sorted({classifier.categories[outcome.answer] for outcome in wrong}),
    }


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
    note = "Written by data/scenes/search.py with efficientnet_lite0."
    lines = ",\n".join(f"    {json.dumps(pair)}" for pair in pairs)
    with whole_file(data_path(*RESULT)) as path:
        path.write_text(f'{{\n  "note": "{note}",\n  "pairs": [\n{lines}\n  ]\n}}\n', "utf-8")


def _below_data(photo: Photograph) -> str:
    return photo.path.relative_to(data_path()).as_posix()


if __name__ == "__main__":
    main()
