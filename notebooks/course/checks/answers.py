"""What the checks share: an answer is read and compared, and a sentence says what came of it.

A check takes the reader's answer, and what the answer depends on, and returns a sentence, which
`checker` prints: one that begins with "Right", or a hint that does not give the solution away. Each
kind of answer has a function that does the whole:

    letters of all true statements    compare_letters
    one letter                        choose
    one letter for each question      quiz                     (Recall)
    a number                          compare_number
    whole numbers, a cell             compare_whole_numbers, compare_cell
    a tensor                          compare_tensor
    a function                        check_function
    a sentence in the reader's words  reflect

`mistakes` are pairs of what a common mistake gives and the sentence that helps; the right answer is
compared first. An answer that cannot be read raises an `AnswerError`, whose text is the sentence.

Right answers to all exercises, and mistakes, stand in `tests/notebooks/exercises`; the tests make
more wrong answers of them by themselves, also of functions.
"""

import copy
import functools
import inspect
import linecache
import math
import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

RIGHT = "Right."
NORMALISED = "The right map, but normalised; leave its values as they are."

Mistakes = Sequence[tuple[Any, str]]


class AnswerError(Exception):
    """Ends a check; its text is what the reader gets to see."""


def checker(check: Callable[..., str]) -> Callable[..., None]:
    """Make a check print its sentence, whatever happens."""

    @functools.wraps(check)
    def print_sentence(*arguments: Any, **named: Any) -> None:
        try:
            sentence = check(*arguments, **named)
        except AnswerError as error:
            sentence = str(error)
        except Exception as error:  # What the notebook passes beside the answer was changed.
            sentence = f"The check could not run; run the cells above again. {_name_error(error)}"
        print(sentence)

    return print_sentence


# Letters


def compare_letters(
    answer: Any, wrong: Mapping[str, str], missing: Mapping[str, str], right: str
) -> str:
    """The sentence for a choice of statements, several of which may be true.

    Args:
        answer: letters, as `read_letters` takes them.
        wrong: by its letter, why a statement is not true.
        missing: by the letter of each true statement, what to say if it is not named.
        right: what to say if all true statements are named, and no others.
    """
    letters = read_letters(answer, [*wrong, *missing])
    for letter, sentence in wrong.items():
        if letter in letters:
            return sentence
    for letter, sentence in missing.items():
        if letter not in letters:
            return sentence
    return right


def choose(answer: Any, sentences: Mapping[str, str]) -> str:
    """The sentence for one letter; `sentences` has one for each that may be chosen."""
    letters = read_letters(answer, sentences)
    if len(letters) > 1:
        raise AnswerError(f"Expected one letter, got {len(letters)}.")
    return sentences[letters[0]]


def quiz(answer: Any, *questions: Mapping[str, str]) -> str:
    """A numbered line for each of several questions that have one right letter each.

    Args:
        answer: a letter for each question, in their order: "bca", "b, c, a" or ["b", "c", "a"].
        questions: for each, by its letter, what to say of each option: of the right one "Right"
            and perhaps why, of every wrong one why not.
    """
    letters = read_letters(answer, {letter for sentences in questions for letter in sentences})
    if len(letters) != len(questions):
        raise AnswerError(f"Expected {len(questions)} letters, one for each question.")
    pairs = enumerate(zip(letters, questions, strict=True), start=1)
    return "\n".join(f"{number}. {choose(*pair)}" for number, pair in pairs)


def read_letters(answer: Any, letters: Iterable[str]) -> list[str]:
    """The letters that are named, in their order: at least one, and all of them in `letters`.

    "bd", "B, D", "b and d", "b;d" and ["b", "d"] name the same two.
    """
    letters = sorted(letters)
    named = [letter for word in read_words(answer) if word != "and" for letter in word]
    if not named or not set(named) <= set(letters):
        example = letters[0] + letters[-1]
        raise AnswerError(
            f'Expected letters from {letters[0]} to {letters[-1]}, as in "{example}".'
        )
    return named


def read_words(answer: Any) -> list[str]:
    """The words of a text, or of a collection of texts, in small letters; none of anything else."""
    refuse_missing(answer)
    texts = answer if isinstance(answer, list | tuple | set) else [answer]
    if not all(isinstance(text, str) for text in texts):
        return []
    return re.findall(r"\w+", " ".join(texts).lower())


# Numbers


def compare_number(
    answer: Any,
    expected: float,
    mistakes: Mistakes = (),
    *,
    right: str = RIGHT,
    otherwise: str = "Not that number yet.",
    relative: float = 0.01,
    absolute: float = 0.0,
) -> str:
    """The sentence for a number.

    Args:
        answer: a number, as `read_number` takes it.
        expected: the right number.
        mistakes: wrong numbers with their sentences.
        right: the sentence for the right number.
        otherwise: the sentence for any other number.
        relative: how far an answer may be off, as a share of the right number: one per cent,
            unless there are reasons; 0 for whole numbers.
        absolute: how far it may be off in any case, as 0.005 where two decimals are printed.
    """
    number = read_number(answer)
    if _is_near(number, expected, relative, absolute):
        return right
    for value, sentence in mistakes:
        if _is_near(number, value, 0.01, absolute):
            return sentence
    return otherwise


def compare_whole_numbers(
    answer: Any,
    names: Sequence[str],
    expected: tuple[int, ...],
    mistakes: Mistakes = (),
    *,
    right: str,
    otherwise: str,
) -> str:
    """The sentence for several whole numbers; `mistakes` has tuples of them."""
    numbers = read_whole_numbers(answer, *names)
    for values, sentence in [(expected, right), *mistakes]:
        if numbers == values:
            return sentence
    return otherwise


def compare_cell(
    answer: Any,
    expected: tuple[int, int],
    mistakes: Mistakes = (),
    *,
    right: str,
    otherwise: str = "Not that cell yet.",
) -> str:
    """The sentence for a cell of a map, (row, column) counted from 0."""
    row, column = expected
    mistakes = [
        *mistakes,
        ((column, row), "Row and column are swapped: the row comes first and counts downwards."),
        ((row + 1, column + 1), "Count from 0: the upper left cell is (0, 0)."),
    ]
    names = ("row", "column")
    return compare_whole_numbers(
        answer, names, expected, mistakes, right=right, otherwise=otherwise
    )


def read_number(answer: Any) -> float:
    """One finite number: Python's, NumPy's, a tensor without dimensions, or one in quotes."""
    refuse_missing(answer)
    number = _to_float(answer)
    if number is None:
        raise AnswerError(f"Expected one number, got {_describe(answer)}.")
    if not math.isfinite(number):
        raise AnswerError(f"Expected a finite number, got {number}.")
    return number


def read_whole_numbers(answer: Any, *names: str) -> tuple[int, ...]:
    """A whole number for each name, from a collection, an array, a tensor or a text."""
    refuse_missing(answer)
    values = _to_python(answer)
    if isinstance(values, str):
        values = re.findall(r"[^\s,;()\[\]]+", values)
    numbers = [_to_float(value) for value in values] if isinstance(values, list | tuple) else []
    if len(numbers) != len(names) or not all(_is_whole(number) for number in numbers):
        raise AnswerError(f"Expected {len(names)} whole numbers: ({', '.join(names)}).")
    return tuple(int(number) for number in numbers)


# Tensors


def compare_tensor(
    answer: Any, expected: Tensor, mistakes: Mistakes = (), *, right: str = RIGHT
) -> str:
    """The sentence for a tensor whose values may be off by a tenth of a per cent."""
    values = read_tensor(answer)
    if values.shape != expected.shape:
        return f"Expected shape {tuple(expected.shape)}, got {tuple(values.shape)}."
    for other, sentence in [(expected, right), *mistakes]:
        if _is_close(values, other):
            return sentence
    return "The shape is right, the values are not yet."


def read_tensor(answer: Any) -> Tensor:
    """A tensor of finite numbers, as float64 on the CPU and without its gradient."""
    refuse_missing(answer)
    if not isinstance(answer, Tensor):
        raise AnswerError(f"Expected a tensor, got {_describe(answer)}.")
    values = answer.detach().to("cpu", torch.float64)
    if not values.isfinite().all():
        raise AnswerError("Expected finite numbers, but your tensor holds NaN or inf.")
    return values


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    """The same normal numbers every time, without touching the global random state."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape) + seed))


# Functions


def check_function(
    function: Any,
    solution: Callable[..., Any],
    cases: Sequence[tuple[Any, ...]],
    mistakes: Sequence[tuple[Callable[..., Any], str]] = (),
    *,
    right: str = RIGHT,
    read: Callable[[Any], Any] = lambda result: result,
) -> str:
    """The sentence for a function, which is called with every case and compared with `solution`.

    Args:
        function: the reader's.
        solution: ours; gives a number or a tensor. Both may be off by a tenth of a per cent.
        cases: tuples of arguments, at least two. Each argument, each side of a box and each end of
            a slice has more than one value among them: a function that ignores one of them must
            not pass, and `tests/notebooks/test_exercises.py` makes such functions.
        mistakes: functions of the same arguments that make a common mistake, with their sentences.
        right: the sentence for a function that gives what `solution` gives.
        read: what is to be compared of the reader's result, if that is not the result itself; may
            raise an `AnswerError`.
    """
    for case in cases:
        result = read(call(function, *case))
        expected = solution(*case)
        wrong = [(mistake(*case), sentence) for mistake, sentence in mistakes]
        if isinstance(expected, Tensor) and expected.ndim:
            sentence = compare_tensor(result, expected, wrong, right=right)
        else:
            sentence = compare_number(
                result,
                expected,
                wrong,
                right=right,
                otherwise="Not yet.",
                relative=1e-3,
                absolute=1e-6,
            )
        if sentence != right:
            return f"{sentence} Your function was called with {_describe_case(solution, case)}."
    return right


def call(function: Any, *arguments: Any) -> Any:
    """What the reader's function returns; it gets copies of the arguments, which it may change.

    Raises:
        AnswerError: no function, one that returns nothing, or one that raises.
    """
    refuse_missing(function)
    if not callable(function):
        raise AnswerError(f"Expected a function, got {_describe(function)}.")
    try:
        result = function(*copy.deepcopy(arguments))
    except Exception as error:
        if "ellipsis" in str(error):  # A step whose dots are still there.
            refuse_missing(...)
        place = _find_line(function, error)
        raise AnswerError(f"Your function stopped{place} with {_name_error(error)}") from None
    if result is None:
        raise AnswerError("Not yet: your function returns None. Is its `return` missing?")
    refuse_missing(result)
    return result


# Sentences


def reflect(answer: Any, *questions: str, least: int = 5) -> str:
    """For a sentence that no check can judge: questions that the reader holds it against.

    Args:
        answer: a text of at least `least` words.
        questions: as "Does it say which class the map is of?".
        least: so many words make a sentence.
    """
    if len(read_words(answer)) < least:
        raise AnswerError(f"Expected a sentence of at least {least} words, in quotes.")
    lines = [f"- {question}" for question in questions]
    return "\n".join(["Read your sentence again, with these questions:", *lines])


# What all of them need


def refuse_missing(answer: Any) -> None:
    """Raise an `AnswerError` for an answer that has not been given."""
    if answer is None or answer is ...:
        raise AnswerError(
            "Not yet: put your answer in place of the dots, then run it and the check again."
        )


def _to_python(value: Any) -> Any:
    """Tensors and arrays as Python's numbers and lists of them, anything else as it is."""
    return value.tolist() if isinstance(value, Tensor | np.ndarray | np.generic) else value


def _to_float(value: Any) -> float | None:
    """A real number or the text of one as a float; None for anything else."""
    value = _to_python(value)
    if isinstance(value, bool) or not isinstance(value, Real | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _is_whole(number: float | None) -> bool:
    return number is not None and number.is_integer()


def _is_near(number: float, value: float, relative: float, absolute: float) -> bool:
    return abs(number - value) <= max(relative * abs(value), absolute, 1e-9)


def _is_close(values: Tensor, expected: Tensor) -> bool:
    """Whether two tensors are equal but for rounding, also in half precision."""
    expected = expected.detach().to("cpu", torch.float64)
    return torch.allclose(values, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def _describe(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, Tensor | np.ndarray):
        return f"{kind} of shape {tuple(value.shape)}, {value.dtype}"
    return kind


def _describe_case(solution: Callable[..., Any], case: tuple[Any, ...]) -> str:
    """As `heat of shape (4, 5), box = (0, 0, 200, 200)`."""
    parts = []
    for name, value in zip(inspect.signature(solution).parameters, case, strict=False):
        if isinstance(value, Tensor):
            parts.append(f"{name} of shape {tuple(value.shape)}")
        elif isinstance(value, torch.nn.Module):
            parts.append(f"{name}, a {_describe(value)}")
        else:
            parts.append(f"{name} = {value}")
    return ", ".join(parts)


def _name_error(error: Exception) -> str:
    """Its kind and the first line of its message: those that follow help nobody here."""
    name = type(error).__name__
    message = str(error).partition("\n")[0]
    return f"{name}: {message}" if message else name


def _find_line(function: Callable[..., Any], error: Exception) -> str:
    """Where an error arose in the reader's own code, as ` in line 2, "return x / 0",`.

    All cells of a notebook share their global names, and a line counts within its cell. The
    file of a cell is a temporary one, whose name would tell nothing.
    """
    names = getattr(inspect.unwrap(function), "__globals__", None)
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_globals is names:
            source = linecache.getline(frame.f_code.co_filename, line).strip()
            place = f' in line {line}, "{source}",'
    return place
