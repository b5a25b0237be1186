"""Every check: answers that are none, functions that fail, and nothing left behind."""

import math
import random
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ipykernel.compiler import XCachingCompiler
from torch import nn

from course import checks

WITH_FUNCTIONS = ("01_2", "01_3", "01_6", "03_4", "03_6", "05_2", "06_3")
FUNCTIONS = [f"check_{number}" for number in WITH_FUNCTIONS]


def numbers(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape)))


def small_classifier():
    """1000 classes on maps of 7x7, in no time."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 2, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1000)
    )
    for parameter in model.parameters():
        parameter.data = numbers(*parameter.shape) - 0.5
    model[4].weight.data[:, 0] -= 2  # One channel speaks against every class.
    return SimpleNamespace(model=model.eval(), target_layer="1")


PICTURE = (small_classifier(), numbers(1, 3, 14, 14))
FEATURES, WEIGHT = numbers(15, 4, 7, 7), numbers(30, 4)
GIVEN = dict.fromkeys(checks.__all__, ()) | {
    "check_00_3": PICTURE,
    "check_02_1": PICTURE,
    "check_02_2": PICTURE,
    "check_02_3": (numbers(7, 7),),
    "check_02_4": PICTURE,
    "check_03_2": (numbers(7, 7) - 0.5,),
    "check_03_3": (numbers(9), numbers(9), numbers(9) > 0.5),
    "check_03_5": (numbers(7, 7), numbers(7, 7) > 0.5),
    "check_04_1": (20 * numbers(8),),
    "check_04_2": (numbers(15),),
    "check_04_3": (FEATURES, WEIGHT, FEATURES.mean((2, 3)) @ WEIGHT.T),
    "check_04_4": ([0, 1, 1],),
    "check_06_2": (numbers(7, 7), np.ones((14, 14), bool)),
}

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Torch announces the end of quantised tensors.
    QUANTISED = torch.quantize_per_tensor(torch.zeros(7, 7), 1, 0, torch.quint8)
ODD_TENSORS = [
    torch.zeros(0),
    torch.zeros(2),
    torch.zeros(0, 7, 7),
    torch.zeros(7, 7),
    torch.zeros(7, 7, requires_grad=True),
    torch.zeros(7, 7, dtype=torch.bool),
    torch.zeros(7, 7, dtype=torch.bfloat16),
    torch.zeros(7, 7, dtype=torch.complex64),
    torch.zeros(7, 7, device="meta"),
    torch.zeros(7, 7).to_sparse(),
    QUANTISED,
    torch.full((7, 7), math.nan),
    torch.full((15, 7, 7), math.inf),
    torch.zeros((), device="meta"),
    torch.tensor(True),
    torch.tensor(math.nan),
    torch.tensor(1j),
]
ODD_ANSWERS = [
    *ODD_TENSORS,
    *(math.inf, -math.inf, math.nan, 1e308, 10**400, -(10**400), 1j, True, False),
    *(np.bool_(True), np.float64("nan"), np.complex64(1), np.array(True), np.array(["32"])),
    *("", "32", "seven", b"32", [], (), {}, {32}, {"a": 1}, object(), ValueError("32"), iter([1])),
    *((1,), (10.9, 10.2), (10.9, 10, 2052), (1, 2, 3, math.inf), (math.nan, 1), (1, "x")),
    *([1, [2, 3]], [[1, 2], 3], (None, None), (8, ...), (True, False), (10**400, 1), (1j, 2)),
    *(range(9), np.zeros((2, 2)), np.array([1, None]), np.array([math.nan, 1]), [torch.zeros(2)]),
    *(len, int, nn.Linear, nn.LazyLinear(4), torch, lambda: 1),
]


@pytest.mark.parametrize("name", checks.__all__)
def test_no_answer_is_not_yet_one(name, said):
    check = getattr(checks, name)
    for missing in (None, ...):
        words = "Not yet: put your answer in place of the dots, then run it and the check again."
        assert said(check, missing, *GIVEN[name]) == words
        if name in FUNCTIONS:
            assert said(check, lambda *_, missing=missing: missing).startswith("Not yet: ")


@pytest.mark.parametrize("name", checks.__all__)
def test_an_odd_answer_gets_one_sentence(name, said):
    answers = list(ODD_ANSWERS)
    if name in FUNCTIONS:
        answers += [lambda *_, answer=answer: answer for answer in ODD_ANSWERS]
    for answer in answers:
        sentence = said(getattr(checks, name), answer, *GIVEN[name])
        assert len(sentence) > 15, repr(answer)
        assert "Right" not in sentence, repr(answer)


@pytest.mark.parametrize("name", [name for name in GIVEN if GIVEN[name]])
def test_a_lost_input_is_told_from_a_wrong_answer(name, capsys):
    readable = {
        "check_02_3": 0.5,
        "check_04_1": "a",
        "check_04_2": 9,
        "check_04_4": ["top"],
    }
    readable |= {
        "check_03_2": (0, 1),
        "check_03_3": 0.5,
        "check_03_5": (0, 1),
        "check_06_2": (0, 0, 1),
    }
    answer = readable.get(name, torch.zeros(7, 7))
    getattr(checks, name)(answer, *(None for _ in GIVEN[name]))
    assert capsys.readouterr().out.startswith("The check could not run; run the cells above again.")


@pytest.mark.parametrize(
    "kind", [int, float, np.int64, np.float32, np.float64, np.array, torch.tensor]
)
def test_a_number_is_a_number_in_every_type(kind, said):
    assert said(checks.check_00_1, kind(32)) == "Right."
    assert said(checks.check_00_2, kind(0)) == "Right."
    for collect in (tuple, list):
        answer = collect([kind(10), kind(10), kind(2052)])
        assert "Right" in said(checks.check_01_1, answer)


@pytest.mark.parametrize("collect", [tuple, list, np.array, torch.tensor])
def test_numbers_come_in_every_collection(collect, said):
    assert "Right" in said(checks.check_01_1, collect([10, 10, 2052]))
    assert "Right" in said(checks.check_03_1, collect([490.0, 0.0, 610.0, 55.0]))


CELL = """\
@torch.no_grad()
def broken(*arguments):
    {body}
"""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 1 / 0", 'in line 3, "return 1 / 0", with ZeroDivisionError: division by zero'),
        ("assert False", 'in line 3, "assert False", with AssertionError'),
        ("raise OSError('one\\ntwo')", "with OSError: one"),
        ("return other_cell()", 'in line 2, "return {}[0]", with KeyError: 0'),
        ("return broken()", 'in line 3, "return broken()", with RecursionError: maximum'),
        ("torch.einsum('k,k->', torch.ones(2), torch.ones(3))", "in line 3, \"torch.einsum('k,"),
    ],
)
def test_an_error_is_told_with_its_line(body, words, said):
    notebook = {"torch": torch}
    cells = ["def other_cell():\n    return {}[0]\n", CELL.format(body=body)]
    for cell in cells:  # As Jupyter names cells and keeps their text.
        exec(compile(cell, XCachingCompiler().cache(cell), "exec"), notebook)
    for name in FUNCTIONS:
        sentence = said(getattr(checks, name), notebook["broken"])
        assert sentence.startswith("Your function stopped ")
        assert words in sentence
        assert "ipykernel" not in sentence


def test_a_function_without_a_line_is_told_without_one(said):
    words = "Your function stopped with TypeError: len() takes exactly one argument (3 given)"
    assert said(checks.check_01_2, len) == words


def test_functions_may_print_and_warn(capsys):
    def fall_of_the_logit(cam, row, column):
        print("row", row)
        warnings.warn("careful", stacklevel=1)
        return cam[row, column] / cam.numel()

    with pytest.warns(UserWarning, match="careful"):
        checks.check_01_3(fall_of_the_logit)
    assert capsys.readouterr().out.startswith("row 1\nrow 3\nRight: ")


def test_functions_may_draw_random_numbers(said):
    def draw(*arguments):
        return random.random() + np.random.rand() + torch.rand(()).item()

    for name in FUNCTIONS:
        assert "Right" not in said(getattr(checks, name), draw)
