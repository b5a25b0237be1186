"""What notebook 02's experiments do to pictures and maps."""

import numpy as np
import pytest
import torch

from camutils import data_path, load_image
from course.trials import (
    all_but_hottest,
    correlation,
    elephant_mask,
    move_spot,
    paint_over,
    tusk_mask,
)


def test_the_correlation_is_numpys():
    one, other = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(0))
    expected = np.corrcoef(one.flatten(), other.flatten())[0, 1]
    assert correlation(one, other) == pytest.approx(expected, abs=1e-5)
    assert np.isnan(correlation(one, torch.zeros(5, 4)))


def test_single_cells_and_whole_blocks_are_left_out():
    heatmap = torch.arange(24.0).view(4, 6)
    assert all_but_hottest(heatmap, 4, 1).tolist() == [[1] * 6] * 3 + [[1, 1, 0, 0, 0, 0]]
    assert all_but_hottest(heatmap, 4, 2).tolist() == [[1] * 6] * 2 + [[1, 1, 1, 1, 0, 0]] * 2


def test_the_tusks_are_ivory_at_the_elephants_mouths():
    tusks = tusk_mask()
    assert tusks.shape == elephant_mask().shape == (480, 640)
    assert 1000 < tusks.sum() < 3000
    assert (tusks & elephant_mask()).sum() > 0.6 * tusks.sum()
    scene = np.asarray(load_image(data_path("scenes", "elephants.jpg"))).min(2)
    ivory = tusks & elephant_mask() & (scene > 130)
    assert ivory.sum() > 300
    columns = np.nonzero(ivory)[1]
    assert {columns.min() < 100, columns.max() > 580} == {True}  # Both elephants'.


def test_paint_changes_the_spot_and_nothing_else():
    scene = load_image(data_path("scenes", "elephants.jpg"))
    spot = tusk_mask()
    before, after = (np.asarray(p).astype(int) for p in (scene, paint_over(scene, spot)))
    changed = (before != after).any(2)
    assert not (changed & ~spot).any()
    ivory = spot & elephant_mask() & (before.min(2) > 160)
    assert after[ivory].min(1).mean() < before[ivory].min(1).mean() - 50


@pytest.mark.parametrize(("least", "most"), [(0.5, 1.0), (0.0, 0.05)])
def test_a_control_lies_where_it_should_and_never_touches_the_tusks(least, most):
    tusks, elephants = tusk_mask(), elephant_mask()
    places = move_spot(tusks, elephants, least, most, n=20)
    assert len(places) == 20
    for place in places:
        assert place.sum() == tusks.sum()
        assert not (place & tusks).any()
        assert least <= elephants[place].mean() <= most
    again = move_spot(tusks, elephants, least, most, n=20)
    assert all(map(np.array_equal, places, again))
    other = move_spot(tusks, elephants, least, most, n=20, seed=1)
    assert not any(map(np.array_equal, places, other))
