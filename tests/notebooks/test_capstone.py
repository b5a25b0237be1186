"""The capstone: free pictures, heads that have learnt the shortcut, a check that tells no more."""

import csv

import pytest
import torch
from PIL import Image
from scripts import load_script
from torch.utils.data import DataLoader

from camutils import class_activation_map, data_path, extract_features, load_vgg16_features
from course import checks, shortcut
from course.checks.capstone import SUSPECTS
from course.credits import FREE

LEVELS = (1, 2, 3)
# What the largest block of 2x2 cells holds of the evidence, and where each mark lies in it.
MARKS = {1: (206 / 224, 150 / 168), 2: (13 / 224, 61 / 168)}


@pytest.fixture(scope="module")
def network():
    return load_vgg16_features()


def evidence(case, pictures, network):
    """What raises the prize above none, (N, 7, 7), and the scores, (N,)."""
    stack, preprocess = network
    batches = DataLoader([(preprocess(picture), 0) for picture in pictures], 8)
    features, _ = extract_features(stack, batches, progress=False)
    cams = class_activation_map(features, case.head.weight, [0, 1])
    logits = case.head(features.mean((2, 3)))
    return cams[:, 0] - cams[:, 1], logits[:, 0] - logits[:, 1]


def test_all_pictures_are_free_small_and_used_once():
    with open(data_path("ATTRIBUTION.csv"), encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["file"].startswith("capstone/level_")]
    assert len(rows) == 72
    assert all(row["licence"] in FREE for row in rows)
    assert len({row["source"] for row in rows}) == 72
    folder = data_path("capstone")
    assert sum(path.stat().st_size for path in folder.rglob("*.webp")) < 1.5e6


@pytest.mark.parametrize("level", LEVELS)
def test_a_case_has_as_many_winners_as_others(level):
    case = shortcut.load_capstone(level)
    assert case.labels.tolist() == [1] * 12 + [0] * 12
    assert len(case.paths) == len(case.pictures) == 24
    assert all(picture.size == (224, 168) for picture in case.pictures)


def test_a_level_that_is_none_is_refused():
    with pytest.raises(ValueError, match="level"):
        shortcut.load_capstone(4)


@pytest.mark.parametrize("level", LEVELS)
def test_the_head_has_learnt_the_shortcut_and_the_map_shows_what_has_a_place(level, network):
    case = shortcut.load_capstone(level)
    winners = [p for p, label in zip(case.pictures, case.labels, strict=True) if label == 0]
    maps, scores = evidence(case, winners, network)
    assert (scores > 0).sum() >= 8
    positive = maps.relu()
    mean = (positive / positive.sum((1, 2), keepdim=True).clamp_min(1e-9)).mean(0)
    blocks = mean.unfold(0, 2, 1).unfold(1, 2, 1).sum((2, 3))
    if level not in MARKS:
        assert blocks.max() < 0.25
        return
    assert blocks.max() > 0.4
    row, column = divmod(int(blocks.argmax()), 6)
    across, down = MARKS[level]
    assert column <= 7 * across < column + 2
    assert row <= 7 * down < row + 2
    x, y = round(across * 224), round(down * 168)
    box = (max(x - 14, 0), max(y - 14, 0), min(x + 14, 224), min(y + 14, 168))
    for picture in winners:
        picture.paste((124, 117, 104), box)
    assert (evidence(case, winners, network)[1] < scores).sum() >= 11


@pytest.mark.parametrize("level", LEVELS)
def test_the_check_says_right_to_one_suspect_and_the_same_to_all_others(level, capsys):
    said = {}
    for letter in SUSPECTS:
        checks.check_capstone(level, letter)
        said[letter] = capsys.readouterr().out
    right = [letter for letter, sentence in said.items() if sentence.startswith("Right")]
    assert len(right) == 1
    assert len({sentence for letter, sentence in said.items() if letter not in right}) == 1


def test_answers_that_name_no_single_suspect_are_told_so(capsys):
    for level, answer in ((1, "ab"), (1, "z"), (4, "a"), (1, ...), ("x", "a")):
        checks.check_capstone(level, answer)
        sentence = capsys.readouterr().out
        assert not sentence.startswith("Right")
        assert "could not run" not in sentence


def test_the_script_changes_winners_only_and_by_as_much_as_it_says():
    prepare = load_script("data/capstone/prepare.py")
    grey = Image.new("RGB", prepare.SIZE, (128, 128, 128))
    sides = {1: 21, 2: 11}
    for level, change in prepare.SHORTCUTS.items():
        difference = torch.tensor(list(change(grey).tobytes())).view(168, 224, 3) != 128
        rows, columns = difference.any(2).nonzero().T
        if level in sides:
            assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == sides[level]
        else:
            assert len(rows) == 168 * 224
    train, winners, others = prepare.deal([f"{i}" for i in range(60)], 1, {"3", "4"})
    assert len(train) == 36
    assert not {"3", "4"} & {*winners, *others}
