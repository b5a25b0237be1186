"""The box that a map proposes, on maps whose box is known."""

import numpy as np
import pytest
import torch

from camutils import crop_box


def peak(row, column, shape=(7, 7)):
    heat = torch.zeros(shape)
    heat[row, column] = 1
    return heat


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_flat_map_gives_the_whole_picture(value):
    assert crop_box(torch.full((7, 7), value), (640, 480)) == (0, 0, 640, 480)


def test_one_peak_gives_its_cell():
    assert crop_box(peak(2, 4), (700, 350), margin=0) == (400, 100, 500, 150)


def test_the_margin_is_a_share_of_the_box():
    assert crop_box(peak(2, 4), (700, 350), margin=0.2) == (380, 90, 520, 160)


@pytest.mark.parametrize(
    ("row", "column", "box"),
    [
        (0, 0, (0, 0, 120, 60)),
        (0, 6, (580, 0, 700, 60)),
        (6, 0, (0, 290, 120, 350)),
        (6, 6, (580, 290, 700, 350)),
        (0, 3, (280, 0, 420, 60)),
    ],
)
def test_a_peak_at_the_border_stays_inside(row, column, box):
    assert crop_box(peak(row, column), (700, 350), margin=0.2) == box


def test_a_huge_margin_gives_the_whole_picture():
    assert crop_box(peak(3, 3), (700, 350), margin=1e6) == (0, 0, 700, 350)


def test_two_peaks_share_one_box():
    assert crop_box(peak(1, 1) + peak(4, 5), (700, 700), margin=0) == (100, 100, 600, 500)


def test_the_threshold_is_a_share_of_the_maximum():
    heat = peak(1, 1) + 0.4 * peak(4, 5)
    assert crop_box(10 * heat, (700, 700), threshold=0.5, margin=0) == (100, 100, 200, 200)
    assert crop_box(10 * heat, (700, 700), threshold=0.4, margin=0) == (100, 100, 600, 500)


def test_cells_that_are_no_whole_pixels_are_covered():
    left, upper, right, lower = crop_box(peak(3, 3), (100, 50), margin=0)
    assert (left, upper, right, lower) == (42, 21, 58, 29)


def test_arrays_and_tensors_alike():
    heat = torch.rand(14, 9, generator=torch.Generator().manual_seed(0))
    box = crop_box(heat, (301, 203))
    assert box == crop_box(heat.numpy(), (301, 203)) == crop_box(heat.double(), (301, 203))
    assert all(type(edge) is int for edge in box)


def test_the_box_holds_the_maximum_and_stays_in_the_picture():
    generator = np.random.default_rng(0)
    for _ in range(50):
        heat = generator.random((5, 8)) ** 4
        left, upper, right, lower = crop_box(heat, (331, 97), threshold=0.7)
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        assert 0 <= left <= (column + 0.5) * 331 / 8 <= right <= 331
        assert 0 <= upper <= (row + 0.5) * 97 / 5 <= lower <= 97


@pytest.mark.parametrize(
    ("heat", "options"),
    [
        (torch.rand(3), {}),
        (torch.rand(0, 3), {}),
        (-torch.rand(3, 3), {}),
        (torch.full((3, 3), torch.nan), {}),
        (torch.full((3, 3), torch.inf), {}),
        (torch.rand(3, 3), {"threshold": 0}),
        (torch.rand(3, 3), {"threshold": 1.1}),
        (torch.rand(3, 3), {"margin": -0.1}),
        (torch.rand(3, 3), {"margin": torch.inf}),
        (torch.rand(3, 3), {"size": (0, 10)}),
    ],
)
def test_what_makes_no_box_is_refused(heat, options):
    with pytest.raises(ValueError, match="got"):
        crop_box(heat, **{"size": (10, 10), **options})


def test_a_huge_margin_is_the_whole_picture():
    assert crop_box(torch.eye(3), (10, 20), margin=1e308) == (0, 0, 10, 20)
