"""What notebook 03 draws of its crops."""

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from course.crops import RIGHT, WRONG, draw_counts, show_answers


def test_right_and_wrong_answers_stand_under_their_pictures_and_look_different():
    pictures = [Image.new("RGB", (40, 30)), Image.new("RGB", (30, 30)), np.eye(7)]
    answers = [("marmoset 0.25", False), ("agama 0.27", True), ("agama 0.61", True)]
    figure = show_answers(pictures, answers, ["a", "b", "c"], columns=2)
    labels = [axes.xaxis.label for axes in figure.axes[:3]]
    for label, (text, is_right) in zip(labels, answers, strict=True):
        assert text in label.get_text()
        assert ("✓" in label.get_text()) == is_right
        assert to_rgb(label.get_color()) == to_rgb(RIGHT if is_right else WRONG)
    figure.draw_without_rendering()
    boxes = [axes.get_position() for axes in figure.axes[:3]]
    extents = [label.get_window_extent().y1 for label in labels]
    for box, top in zip(boxes, extents, strict=True):
        assert top <= box.y0 * figure.bbox.height + 1


def test_counts_are_drawn_as_they_are():
    panels = {
        "squashed": {"windows": [0, 4, 15], "frames": [0, 1, 12]},
        "kept": {"windows": [3] * 3},
    }
    figure = draw_counts([112, 153, 224], panels, 15, {153: "section 1"}, ("width", "lizards"))
    for axes, (title, curves) in zip(figure.axes, panels.items(), strict=True):
        assert axes.get_title() == title
        drawn = {line.get_label(): line for line in axes.lines}
        for name, counts in curves.items():
            assert [*drawn[name].get_xdata()] == [112, 153, 224]
            assert [*drawn[name].get_ydata()] == counts
        assert axes.get_ylim()[1] > 15
