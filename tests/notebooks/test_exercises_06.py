"""The checks of notebook 06: right answers and common mistakes."""

import numpy as np
import torch

from course.checks import check_06_1, check_06_2, check_06_3


def test_which_mistake(said):
    for answer, words in [
        ((7, 1, 8), "Right"),
        ([7.0, 1, 8], "Right"),
        ((1, 7, 8), "not in the order"),
        ((7, 1, 3), "look again at C."),
        ((7, 2, 3), "look again at B and C."),
        ((2, 3, 4), "look again at A and B and C."),
        ((7, 1, 13), "1 to 12"),
        ((7, 1), "Expected 3 whole numbers"),
        (("A", "B", "C"), "Expected 3 whole numbers"),
        (..., "Not yet"),
    ]:
        assert words in said(check_06_1, answer)


def test_for_and_against(said):
    against = torch.zeros(7, 7)
    against[2, 3] = 0.09
    mask = np.zeros((288, 512), bool)
    for covered in (0, 1):
        mask[100, 230] = bool(covered)  # In row 2 and column 3.
        for answer, words in [
            ((2, 3, covered), "Right"),
            (torch.tensor([2, 3, covered]), "Right"),
            ((2, 3, 1 - covered), "The cell is right"),
            ((3, 2, covered), "swapped"),
            ((3, 4, covered), "Count from 0"),
            ((0, 0, covered), "Not that cell"),
            ((2, 3, 2), "third number"),
            ((2, 3), "Expected 3 whole numbers"),
            ((2, 3.5, 0), "Expected 3 whole numbers"),
        ]:
            assert words in said(check_06_2, answer, against, mask)


def grid_of(patches, rows, columns):
    return patches.transpose(1, 2).unflatten(2, (rows, columns))


def test_registers(said, rude):
    def right(tokens, rows, columns):
        return grid_of(tokens[:, -rows * columns :], rows, columns)

    def mixed(tokens, rows, columns):
        patches = tokens[:, -rows * columns :]
        return patches.reshape(len(tokens), -1, rows, columns)

    def along_columns(tokens, rows, columns):
        patches = tokens[:, -rows * columns :]
        return grid_of(patches, columns, rows).transpose(2, 3)

    for answer, words in [
        (right, "Right"),
        (rude(right), "Right"),
        (mixed, "mixed up"),
        (along_columns, "along the rows"),
        (lambda t, h, w: grid_of(t[:, 1 : 1 + h * w], h, w), "Only one token"),
        (lambda t, h, w: grid_of(t[:, : h * w], h, w), "still there"),
        (lambda t, h, w: grid_of(t[:, 1:], h, w), "with five: Your function stopped"),
        (lambda t, h, w: t, "Expected shape (1, 4, 2, 3)"),
        (lambda t, h, w: None, "returns None"),
        (..., "Not yet"),
        (3, "Expected a function"),
    ]:
        assert words in said(check_06_3, answer)
