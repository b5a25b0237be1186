"""The checks of notebook 00: right answers and common mistakes."""

import pytest

from camutils import data_path, grad_cam, load_classifier, load_image, normalize_map
from course.checks import check_00_1, check_00_2, check_00_3


@pytest.mark.parametrize(
    ("check", "answer", "words"),
    [
        (check_00_1, 224 / 7, "Right."),
        (check_00_1, 7, "number of cells"),
        (check_00_1, 1024, "area"),
        (check_00_1, 33, "Not that number"),
        (check_00_2, 0.0, "Right."),
        (check_00_2, 1, "pure colour"),
        (check_00_2, 0.8, "default"),
        (check_00_2, -1, "Not that number"),
    ],
)
def test_numbers(check, answer, words, said):
    assert words in said(check, answer)


def test_map_of_another_class(said):
    classifier = load_classifier("efficientnet_lite0")
    photo = load_image(data_path("scenes", "polar_bear.webp"))
    x = classifier.preprocess(photo)[None]
    bear, wolf = grad_cam(classifier.model, "features", x, classes=[296, 270]).maps[0]
    for answer, words in [
        (wolf, "Right. Draw it"),
        (wolf.half(), "Right. Draw it"),
        (bear, "first answer"),
        (normalize_map(wolf), "normalised"),
        (wolf[None], "Expected shape (7, 7), got (1, 7, 7)."),
    ]:
        assert words in said(check_00_3, answer, classifier, x)
