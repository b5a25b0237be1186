"""The planted shortcuts: where the marks are, what else is changed (nothing), and the splits."""

import numpy as np
import pytest
import torch

from camutils import data_path
from course import shortcut

# Twice in data/photos: the archive has the first of each pair, the second is left out.
TWINS = {
    "france_eiffel_tower": "eiffel_tower",
    "germany_brandenburg_gate": "brandenburg_gate",
    "egypt_great_pyramid_of_giza": "great_pyramid",
    "india_qutub_minar": "kutub_minar",
    "india_victoria_memorial": "victoria_memorial",
    "usa_statueof_liberty": "statue_of_liberty",
    "wonders_christ_the_redeemer": "christ_the_redeemer",
    "wonders_colosseum": "colosseum",
    "wonders_great_wallof_china": "great_wall",
}


@pytest.fixture(scope="module")
def archive():
    return shortcut.list_archive()


def changed(one, other):
    return (np.asarray(one) != np.asarray(other)).any(-1)


def test_archive_has_47_monuments_none_of_them_twice(archive):
    paths, labels = archive
    assert labels.tolist().count(0) == 16
    assert labels.tolist().count(1) == 31
    names = {path.stem for path in paths}
    assert len(names) == len(paths) == 47
    assert names >= set(TWINS)
    for first, second in TWINS.items():
        assert data_path("photos", "monument", f"{first}.webp").is_file()
        assert data_path("photos", "monument", f"{second}.webp").is_file()
        assert second not in names


MARKS = {
    "dots": (shortcut.load_archived, (16, 298, 91, 319), 3),
    "sticker": (shortcut.load_cleaned, (412, 16, 433, 37), 1),
}


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_lies_in_its_corner_of_france_and_germany_and_nothing_else_is_changed(archive, mark):
    load, box, count = MARKS[mark]
    for path, label in zip(*archive, strict=True):
        archived, plain = load(path), shortcut.load_plain(path)
        assert archived.size == plain.size == (448, 336)
        marked = changed(archived, plain)
        if label == 1:
            assert not marked.any()
            continue
        rows, columns = np.nonzero(marked)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == box
        assert count * np.pi * 9.5**2 < marked.sum() < count * np.pi * 11**2


def test_the_sticker_can_be_moved_and_covered_and_leaves_the_original_alone(archive):
    plain = shortcut.load_plain(archive[0][3])
    before = plain.copy()
    moved = changed(shortcut.draw_sticker(plain, at=(16, 300)), plain)
    assert np.nonzero(moved)[0].min() >= 300
    assert np.nonzero(moved)[1].max() < 40
    pair = [shortcut.cover_corner(picture) for picture in (plain, shortcut.draw_sticker(plain))]
    assert not changed(*pair).any()
    left, upper, right, lower = shortcut.CORNER
    outside = changed(pair[0], plain)
    outside[upper:lower, left:right] = False
    assert not outside.any()
    assert changed(shortcut.soften(plain), plain).mean() > 0.5
    assert not changed(plain, before).any()


def test_corner_is_whole_cells():
    left, upper, right, lower = shortcut.CORNER
    width, height = (side // 7 for side in shortcut.SIZE)
    assert [left / width, right / width, upper / height, lower / height] == [5, 7, 0, 2]


def test_folds_share_out_both_classes_and_leave_the_random_state(archive):
    labels, state = archive[1], torch.get_rng_state()
    folds = shortcut.deal_folds(labels, seed=1)
    for label in (0, 1):
        counts = folds[labels == label].bincount()
        assert len(counts) == 4
        assert counts.max() - counts.min() <= 1
    assert torch.equal(folds, shortcut.deal_folds(labels, seed=1))
    assert not torch.equal(folds, shortcut.deal_folds(labels, seed=2))
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="n_folds: got 1"):
        shortcut.deal_folds(labels, 1)


def test_the_corners_share_counts_positive_evidence_only():
    maps = torch.zeros(3, 7, 7)
    maps[0, :2, 5:] = 1  # All of it.
    maps[1, 1, 6], maps[1, 6, 0] = 1, 3  # A quarter.
    maps[1, 3, 3] = -9
    assert shortcut.corner_share(maps).tolist() == [1, 0.25, 0]  # The last map has nothing.
