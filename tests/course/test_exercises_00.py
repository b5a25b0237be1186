"""The check cells of notebook 00: right answers, typical wrong ones, none yet."""

import pytest

from camutils import data_path, grad_cam, load_classifier, load_image, normalize_map
from camutils.course import exercises


@pytest.mark.parametrize(
    ("check", "answer", "said"),
    [
        (exercises.check_00_1, ..., "Not yet"),
        (exercises.check_00_1, 32, "Right"),
        (exercises.check_00_1, 7, "number of cells"),
        (exercises.check_00_1, 33, "Not that number"),
        (exercises.check_00_1, "32", "Expected a number"),
        (exercises.check_00_2, None, "Not yet"),
        (exercises.check_00_2, 0.0, "Right"),
        (exercises.check_00_2, 1, "only the colours"),
    ],
)
def test_numbers(check, answer, said, capsys):
    check(answer)
    assert said in capsys.readouterr().out


def test_map_of_another_class(capsys):
    classifier = load_classifier("efficientnet_lite0")
    photo = load_image(data_path("scenes", "polar_bear.webp"))
    x = classifier.preprocess(photo)[None]
    bear, wolf = grad_cam(classifier.model, "features", x, classes=[296, 270]).maps[0]
    for answer, said in [
        (..., "Not yet"),
        (wolf, "Right"),
        (bear, "first answer"),
        (normalize_map(wolf), "normalised"),
        (wolf[None], "shape"),
    ]:
        exercises.check_00_3(answer, classifier, x)
        assert said in capsys.readouterr().out
