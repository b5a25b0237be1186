"""Every check: what is right, what is just not right, and what is no answer at all.

The checks are found by their names, their right answers in `exercises`.
"""

import copy
import importlib
import math
import re
from itertools import product

import numpy as np
import pytest
import torch
from exercises import random_numbers
from ipykernel.compiler import XCachingCompiler
from torch import Tensor, nn

from course import checks
from course.checks import answers

NAMES = sorted(name for name in vars(checks) if re.fullmatch(r"check_\d\d_\d+|recall_\d\d", name))
EXERCISES = {}
for number in sorted({name.split("_")[1] for name in NAMES}):
    EXERCISES |= importlib.import_module(f"exercises.notebook_{number}").EXERCISES


def of_kind(*kinds):
    """A test for each exercise whose right answer is of one of these types."""
    found = [name for name, exercise in EXERCISES.items() if isinstance(exercise.right, kinds)]
    return pytest.mark.parametrize("name", found)


FUNCTION = type(lambda: None)


@pytest.fixture
def said(capsys):
    """`said(check, answer, *given)`: what a check prints, which is never a failure of its own."""

    def said(check, answer, *given):
        assert check(answer, *given) is None
        printed = capsys.readouterr()
        assert printed.err == ""
        assert len(printed.out) > 5
        assert "could not run" not in printed.out
        return printed.out.rstrip("\n")

    return said


@pytest.fixture
def judged(said):
    """`judged(name, answer)`: whether the check of that name calls an answer right."""

    def judged(name, answer):
        return is_right(said(getattr(checks, name), answer, *EXERCISES[name].given))

    return judged


def is_right(sentence):
    """A check of several questions prints a numbered line for each."""
    return all(re.match(r"(\d\. )?Right", line) for line in sentence.splitlines())


def test_every_check_is_tested():
    assert sorted(EXERCISES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_are_right(name, judged):
    for answer in [EXERCISES[name].right, *EXERCISES[name].also]:
        assert judged(name, answer)


@pytest.mark.parametrize("name", NAMES)
def test_each_mistake_has_a_hint_of_its_own(name, said):
    exercise = EXERCISES[name]
    hints = [said(getattr(checks, name), answer, *exercise.given) for answer in exercise.mistakes]
    assert not any(map(is_right, hints))
    hints = [hint.partition(" Your function was called")[0] for hint in hints]
    assert len(set(hints)) == len(hints), hints


# Just not right


@of_kind(int)
def test_a_whole_number_is_exact(name, judged):
    for off in (-1, -0.01, 0.01, 1):
        assert not judged(name, EXERCISES[name].right + off)


@of_kind(float)
def test_a_number_is_right_up_to_its_tolerance(name, judged):
    exercise = EXERCISES[name]
    for sign, share, right in product((-1, 1), (0.95, 1.05), (True, False)):
        answer = exercise.right * (1 + sign * share * exercise.tolerance)
        if right == (share < 1):
            assert judged(name, answer) == right


@of_kind(tuple)
def test_every_whole_number_counts(name, judged):
    right = EXERCISES[name].right
    for i, off in product(range(len(right)), (-1, 0.5, 1)):
        assert not judged(name, (*right[:i], right[i] + off, *right[i + 1 :]))
    assert not judged(name, right[:-1])
    assert not judged(name, (*right, right[-1]))


@of_kind(Tensor)
def test_every_cell_of_a_tensor_counts(name, judged):
    right = EXERCISES[name].right
    largest = right.abs().max()
    for answer in (right * 1.0005, right.half(), right.clone().requires_grad_()):
        assert judged(name, answer)
    for answer in (right * 1.002, right * 0.998, right.flip(-1), right.flip(-2), right[None]):
        assert not judged(name, answer)
    for cell in range(right.numel()):
        answer = right.clone()
        answer.view(-1)[cell] += 0.01 * largest
        assert not judged(name, answer)


@of_kind(str, list)
def test_every_letter_or_word_counts(name, judged):
    right = list(EXERCISES[name].right)
    options = {"top", "bottom"} if len(right[0]) > 1 else set("abcdef")
    for i in range(len(right)):
        assert not judged(name, [*right[:i], *right[i + 1 :]])
        for other in options - {word.lower() for word in right}:
            assert not judged(name, [*right[:i], other, *right[i + 1 :]])
            assert not judged(name, [*right, other])


@of_kind(FUNCTION)
def test_what_a_function_gives_may_hardly_be_off(name, judged):
    solution = EXERCISES[name].right

    def scaled(factor):
        def function(*arguments):
            result = solution(*arguments)
            if isinstance(result, nn.Module):
                result.weight.data *= factor
                return result
            return result * factor

        return function

    assert judged(name, scaled(1.0005))
    assert not judged(name, scaled(1.002))


# Functions that ignore something


def recorded(check, solution):
    """The arguments that a check calls a right function with."""
    cases = []

    def spy(*arguments):
        cases.append(copy.deepcopy(arguments))
        return solution(*arguments)

    check(spy)
    return cases


def constants(values):
    """(what it is, a function of an argument that is constant in it), for the values it takes."""
    first = values[0]
    for value in values:
        yield f"always {value}", lambda argument, value=value: value
    if isinstance(first, Tensor):
        yield "only ones", torch.ones_like
    if isinstance(first, tuple):
        for i in range(len(first)):
            for value in {value[i] for value in values}:
                yield (
                    f"always {value} at {i}",
                    lambda argument, i=i, value=value: (*argument[:i], value, *argument[i + 1 :]),
                )
    if isinstance(first, slice):
        for value in {0, *(value.start for value in values)}:
            yield f"starts at {value}", lambda a, value=value: slice(value, a.stop)
        for value in {None, *(value.stop for value in values)}:
            yield f"stops at {value}", lambda a, value=value: slice(a.start, value)


@of_kind(FUNCTION)
def test_a_function_that_ignores_something_is_wrong(name, judged):
    solution = EXERCISES[name].right
    cases = recorded(getattr(checks, name), solution)
    for position, values in enumerate(zip(*cases, strict=True)):
        for what, constant in constants(values):

            def ignorant(*arguments, position=position, constant=constant):
                changed = list(arguments)
                changed[position] = constant(changed[position])
                return solution(*changed)

            assert not judged(name, ignorant), f"argument {position}: {what}"


@of_kind(FUNCTION)
def test_a_function_may_change_what_it_is_given(name, judged):
    solution = EXERCISES[name].right

    def rude(*arguments):
        result = copy.deepcopy(solution(*arguments))
        for argument in arguments:
            if isinstance(argument, nn.Module):
                for parameter in argument.parameters():
                    parameter.data.zero_()
            if isinstance(argument, Tensor):
                argument.zero_()
        return result

    assert judged(name, rude)


# Ways to write an answer


@of_kind(str)
def test_letters_may_be_written_in_many_ways(name, judged):
    letters = list(EXERCISES[name].right.lower())
    for text in (", ", ";", " and ", " ", "; ", " & "):
        assert judged(name, text.join(letters))
        assert judged(name, text.join(letters).upper())
    assert judged(name, letters)
    assert judged(name, tuple(letters))
    if name.startswith("check"):  # The questions of a recall have an order.
        assert judged(name, set(letters))
        assert judged(name, letters[::-1])


@of_kind(int, float)
def test_a_number_may_be_of_any_type(name, judged):
    right = EXERCISES[name].right
    for kind in (float, np.float32, np.float64, np.array, torch.tensor, str, " {} ".format):
        assert judged(name, kind(right))


@of_kind(tuple)
def test_numbers_may_come_in_any_collection(name, judged):
    right = EXERCISES[name].right
    answers = [list(right), np.array(right), torch.tensor(right), str(right), str([*right])]
    answers += [[float(n) for n in right], [str(n) for n in right], " ".join(map(str, right))]
    for answer in answers:
        assert judged(name, answer)


# What is no answer

ODD_ANSWERS = [
    *("", "seven", "?", b"32", [], (), {}, {"a": 1}, object(), True, math.nan, math.inf, 1j),
    *((1,), (10.9, 10.2), (None, None), (8, ...), (math.nan, 1), [[1, 2], 3], range(9)),
    *(np.zeros((2, 2)), np.array([1, None]), torch.zeros(0), torch.zeros(2), [torch.zeros(2)]),
    *(torch.zeros(7, 7), torch.zeros(7, 7) > 0, torch.full((7, 7), math.nan), torch.tensor(True)),
    *(len, int, nn.Linear, torch, lambda: 1),
]


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_answer_is_not_right(name, judged):
    answers = list(ODD_ANSWERS)
    if callable(EXERCISES[name].right):
        answers += [lambda *_, answer=answer: answer for answer in ODD_ANSWERS]
    for answer in answers:
        assert not judged(name, answer), repr(answer)


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_is_not_yet_one(name, said):
    for missing in (None, ...):
        assert said(getattr(checks, name), missing, *EXERCISES[name].given).startswith("Not yet")
        if callable(EXERCISES[name].right):
            function = getattr(checks, name)
            assert said(function, lambda *_, missing=missing: missing).startswith("Not yet")


@pytest.mark.parametrize("name", [name for name in NAMES if EXERCISES[name].given])
def test_a_lost_input_is_told_from_a_wrong_answer(name, capsys):
    exercise = EXERCISES[name]
    getattr(checks, name)(exercise.right, *(None for _ in exercise.given))
    assert capsys.readouterr().out.startswith("The check could not run; run the cells above again.")


def test_a_network_in_train_mode_is_named_as_the_cause(capsys):
    right, (classifier, x), *_ = EXERCISES["check_02_1"]
    classifier.model.train()
    try:
        checks.check_02_1(right, classifier, x)
    finally:
        classifier.model.eval()
    assert "train mode" in capsys.readouterr().out


# What the checks are made of


@answers.checker
def check_product(function):
    cases = [(2.0, 3.0), (4.0, 5.0)]
    mistakes = [(lambda a, b: a + b, "That is the sum.")]
    return answers.check_function(function, lambda a, b: a * b, cases, mistakes)


def test_a_function_is_called_with_every_case(said):
    assert is_right(said(check_product, lambda a, b: b * a))
    assert "sum" in said(check_product, lambda a, b: a + b)
    assert "a = 4.0, b = 5.0" in said(check_product, lambda a, b: 6.0)
    assert "a = 2.0, b = 3.0" in said(check_product, lambda a, b: 20.0)


CELL = """\
@torch.no_grad()
def broken(*arguments):
    {body}
"""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 1 / 0", 'in line 3, "return 1 / 0", with ZeroDivisionError: division by zero'),
        ("raise OSError('one\\ntwo')", "with OSError: one"),
        ("return other_cell()", 'in line 2, "return {}[0]", with KeyError: 0'),
        ("torch.einsum('k,k->', torch.ones(2), torch.ones(3))", "in line 3, \"torch.einsum('k,"),
    ],
)
def test_an_error_is_told_with_its_line(body, words, said):
    notebook = {"torch": torch}
    cells = ["def other_cell():\n    return {}[0]\n", CELL.format(body=body)]
    for cell in cells:  # As Jupyter names cells and keeps their text.
        exec(compile(cell, XCachingCompiler().cache(cell), "exec"), notebook)
    sentence = said(check_product, notebook["broken"])
    assert words in sentence
    assert "\n" not in sentence
    assert "TypeError" in said(check_product, len)


@answers.checker
def check_questions(answer):
    first = {"a": "Not a: no gradient.", "b": "Right: a gradient."}
    second = {"a": "Right.", "b": "Not b: no hook.", "c": "Not c: no layer."}
    return answers.quiz(answer, first, second)


def test_a_quiz_has_a_line_for_each_question(said):
    for answer in ("ba", "B, A", "b and a", ["b", "a"]):
        assert said(check_questions, answer) == "1. Right: a gradient.\n2. Right."
    assert said(check_questions, "ac") == "1. Not a: no gradient.\n2. Not c: no layer."
    for answer in ("b", "bab", "bd", "ca", 7):
        assert said(check_questions, answer).startswith("Expected")
    assert said(check_questions, ...).startswith("Not yet")


@answers.checker
def check_sentence(answer):
    return answers.reflect(answer, "Which class?", "Which network?")


def test_a_sentence_gets_the_questions_that_it_is_held_against(said):
    lines = said(check_sentence, "The map lies on the bear.").splitlines()
    assert lines[1:] == ["- Which class?", "- Which network?"]
    for answer in ("Bear.", "", 3, ["a"]):
        assert said(check_sentence, answer).startswith("Expected a sentence")
    assert said(check_sentence, ...).startswith("Not yet")


def test_the_right_answer_is_compared_before_mistakes_that_are_equal_to_it(said):
    @answers.checker
    def check(answer):
        return answers.compare_cell(answer, (3, 3), [((3, 3), "A mistake.")], right="Right.")

    assert is_right(said(check, (3, 3)))
    assert not is_right(said(check, (4, 4)))


def test_a_check_does_not_touch_the_random_state():
    state = torch.get_rng_state()
    assert torch.equal(answers.random_tensor(2, 3), answers.random_tensor(2, 3))
    assert not torch.equal(answers.random_tensor(2, 3), answers.random_tensor(2, 3, seed=1))
    checks.check_01_4(EXERCISES["check_01_4"].mistakes[2])
    assert torch.equal(torch.get_rng_state(), state)
    assert random_numbers(2).shape == (2,)
