"""What a learner sees: outlines, peaks, frames, shades and charts are where they should be."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from course.drawing import (
    CLEAR,
    draw_intervals,
    draw_matrix,
    draw_strips,
    keep_region,
    show_around_peaks,
    show_cells,
    show_outlined,
    with_boxes,
)

SIZE = (200, 100)


def rendered(figure):
    """The figure's pixels, (h, w, 3) from 0 to 255."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200)
    return np.asarray(Image.open(buffer).convert("RGB")).astype(int)


def extent(found):
    """(left, upper, right, lower) of the True pixels; right and lower are the first beyond."""
    rows, columns = np.nonzero(found)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def shares(found, picture):
    """The extent of some pixels as shares of the width and height of the picture around them."""
    left, upper, right, lower = extent(picture)
    sides = np.array([right - left, lower - upper] * 2)
    return (extent(found) - np.array([left, upper, left, upper])) / sides


@pytest.mark.parametrize("scale", [1, 20])
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_an_outline_runs_along_the_edge_of_its_mask(scale, kind):
    mask = np.zeros((5, 10), bool)
    mask[1:3, 1:4] = True
    mask = kind(mask.repeat(scale, 0).repeat(scale, 1))
    figure = show_outlined([Image.new("RGB", SIZE)], [mask], [""], columns=1, width=5)
    red, green, blue = rendered(figure).transpose(2, 0, 1)
    cyan = (red < 60) & (green > 150) & (blue > 150)
    black_or_cyan = red < 60
    assert shares(cyan, black_or_cyan) == pytest.approx([0.1, 0.2, 0.4, 0.6], abs=0.01)


def test_a_mask_without_an_edge_has_no_outline():
    for mask in (np.zeros((5, 10), bool), np.ones((5, 10), bool)):
        figure = show_outlined([Image.new("RGB", SIZE)], [mask], [""], columns=1)
        red, green, _ = rendered(figure).transpose(2, 0, 1)
        assert (red == green).all()


@pytest.mark.parametrize("radius", [0, 1])
def test_a_peak_is_marked_in_the_middle_of_its_cell(radius):
    pictures, masks = [Image.new("RGB", SIZE, "red")], [np.zeros((5, 10), bool)]
    figure = show_outlined(pictures, masks, [""], columns=1, width=5, peaks=[(1, 7)], radius=radius)
    red, green, _ = rendered(figure).transpose(2, 0, 1)
    picture = (red > 200) & (green < 60)
    left, upper, right, lower = shares((green < 60) & (red < 60), picture)  # The black cross.
    assert ((left + right) / 2, (upper + lower) / 2) == pytest.approx((0.75, 0.3), abs=0.01)
    if radius:
        inside = np.zeros_like(picture)
        a, b, c, d = extent(picture)
        inside[b + 3 : d - 3, a + 3 : c - 3] = True
        white = (green > 150) & inside
        assert shares(white, picture) == pytest.approx([0.65, 0.1, 0.85, 0.5], abs=0.015)


def test_frames_lie_on_the_outermost_pixels_of_what_is_cropped():
    image = Image.new("RGB", SIZE, (9, 8, 7))
    boxes = [(10, 20, 60, 90), (100, 0, 200, 50), (80, 60, 90, 70), (120, 60, 160, 95)]
    colours = [(255, 255, 255), (0, 255, 255), (255, 165, 0), (255, 255, 255)]
    expected = np.asarray(image).copy()
    for (left, upper, right, lower), colour in zip(boxes, colours, strict=True):
        expected[upper:lower, left:right] = colour
        expected[upper + 2 : lower - 2, left + 2 : right - 2] = (9, 8, 7)
    assert np.array_equal(np.asarray(with_boxes(image, *boxes)), expected)
    red = with_boxes(image, boxes[0], colours=["red"])
    assert red.getpixel((10, 20)) == (255, 0, 0)
    assert image.getcolors() == [(200 * 100, (9, 8, 7))]


def test_what_is_kept_stays_and_the_rest_is_a_quarter_as_bright():
    photo = Image.new("RGB", SIZE, (200, 100, 40))
    for kind in (torch.tensor, np.asarray):
        region = np.zeros((100, 200))
        region[10:40, 20:50] = 1
        kept = np.asarray(keep_region(photo, kind(region)))
        assert (kept[10:40, 20:50] == (200, 100, 40)).all()
        kept = kept.copy()
        kept[10:40, 20:50] = (50, 25, 10)
        assert np.abs(kept.astype(int) - (50, 25, 10)).max() <= 1


def test_maps_share_a_scale_with_a_unit_and_have_their_own_without():
    photo, maps = Image.new("RGB", SIZE), {"a": torch.eye(3), "b": -2 * np.eye(3)}
    for unit, signed, limits in (
        ("logit", True, [(-2, 2), (-2, 2)]),
        ("logit", False, [(0, 2), (0, 2)]),
        ("", False, [(0, 1), (-2, 0)]),
    ):
        figure = show_cells({"photo": photo, **maps}, unit, signed=signed)
        assert [axes.images[0].get_clim() for axes in figure.axes[1:3]] == limits
        assert len(figure.axes) == 3 + bool(unit)


def test_the_cells_of_a_map_are_numbered_from_the_top_left():
    axes = show_cells({"map": torch.zeros(2, 5)}).axes[0]
    for axis, numbers in ((axes.xaxis, list(range(5))), (axes.yaxis, [0, 1])):
        assert axis.get_ticklocs() == pytest.approx(numbers)  # The middles of imshow's cells.
        assert [int(label.get_text()) for label in axis.get_ticklabels()] == numbers
    assert axes.yaxis_inverted()


def forest(rows):
    return draw_intervals({"energy": rows, "box": rows}, "CAM minus rival")


def test_intervals_clear_of_zero_are_full_and_blue_others_hollow_and_grey():
    rows = {"clear": (0.2, 0.1, 0.3), "not": (0.1, -0.1, 0.3), "touching": (0.1, 0.0002, 0.2)}
    figure = forest(rows | {"below": (-0.2, -0.3, -0.1)})
    assert [axes.get_title() for axes in figure.axes] == ["energy", "box"]
    for axes in figure.axes:
        zero, *drawn = axes.lines
        assert set(zero.get_xdata()) == {0}
        bars, dots = drawn[::2], drawn[1::2]
        assert [tuple(bar.get_xdata()) for bar in bars[:2]] == [(0.1, 0.3), (-0.1, 0.3)]
        assert [dot.get_xdata()[0] for dot in dots] == [0.2, 0.1, 0.1, -0.2]
        is_full = [dot.get_markerfacecolor() == dot.get_color() == CLEAR for dot in dots]
        assert is_full == [True, False, False, True]
        assert [text.get_text() for text in axes.texts] == ["+0.20", "+0.10", "+0.10", "-0.20"]
        heights = [dot.get_ydata()[0] for dot in dots]
        low, high = axes.get_ylim()
        assert low > high  # The first row is on top.
        assert heights == sorted(heights)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["clear", "not", "touching", "below"]


def test_panels_have_the_same_rows():
    with pytest.raises(ValueError, match="rows"):
        draw_intervals({"a": {"x": (0, 0, 0)}, "b": {"y": (0, 0, 0)}}, "")


def test_a_matrix_has_its_numbers_in_their_cells_and_nothing_on_the_diagonal():
    values = np.array([[0.5, 0.1, 0.9], [1.0, 0.5, 0.0], [0.3, 0.7, 0.5]])
    numbers = [[7, 1, 2], [2, 7, 0], [1, 1, 7]]
    axes = draw_matrix(values, numbers, ["bear", "lion", "otter"], ("of", "beside", "share")).axes[
        0
    ]
    found = {text.get_position(): text.get_text() for text in axes.texts}
    assert found == {
        (column, row): str(numbers[row][column])
        for row in range(3)
        for column in range(3)
        if row != column
    }
    drawn = axes.images[0].get_array()
    assert np.isnan(np.ma.filled(drawn.astype(float), np.nan).diagonal()).all()
    assert drawn[0, 2] == 0.9
    assert [label.get_text() for label in axes.get_xticklabels()] == ["bear", "lion", "otter"]


@pytest.mark.parametrize("peak", [(50, 60), (2, 3), (97, 199)])
def test_what_is_cut_out_around_a_peak_keeps_peak_and_outline_in_their_places(peak):
    mask = np.zeros((100, 200), bool)
    mask[40:, 50:] = True
    picture = Image.fromarray(np.uint8(mask) * 200 + 20).convert("RGB")
    figure = show_around_peaks([picture], [mask], [""], [peak], radius=5, side=40, columns=1)
    axes = figure.axes[0]
    cut = axes.images[0].get_array()
    assert cut.shape == (40, 40, 3)
    column, row = (values[0] for values in axes.lines[0].get_data())
    is_bright = cut[round(float(row)), round(float(column)), 0] > 100
    assert is_bright == mask[peak]


def test_strips_have_their_dots_near_their_row_and_a_line_at_the_mean():
    rows = {"head": np.array([[-0.5, 0.1], [0.7, 0.1]]), "all": [0.0, 0.2]}
    axes = draw_strips(rows, "correlation", (-1, 1)).axes[0]
    for row, values in enumerate(rows.values()):
        dots, line = axes.lines[1 + 2 * row], axes.lines[2 + 2 * row]
        assert dots.get_xdata().tolist() == np.ravel(values).tolist()
        assert np.abs(dots.get_ydata() - row).max() < 0.5
        assert line.get_xdata() == pytest.approx([np.mean(values)] * 2)
    assert [text.get_text() for text in axes.texts] == ["+0.10", "+0.10"]
    assert axes.get_xlim() == (-1, 1)
