"""What the checks share: reading an answer, running a function, recognising common mistakes.

A check returns one sentence, and `checker` prints it. An answer that cannot be read ends the check
with an `AnswerError`, whose text is then that sentence.
"""

import contextlib
import copy
import functools
import inspect
import linecache
import math
import random
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

RIGHT = "Right."
NORMALISED = "The right map, but normalised; leave its values as they are."


class AnswerError(Exception):
    """Ends a check; its text is what the reader gets to see."""


def checker(check: Callable[..., str]) -> Callable[..., None]:
    """Make a check print its sentence, whatever happens, and leave the random state as it was."""

    @functools.wraps(check)
    def print_sentence(*arguments: Any, **named: Any) -> None:
        try:
            with _random_state_kept():
                sentence = check(*arguments, **named)
        except AnswerError as error:
            sentence = str(error)
        except Exception as error:  # What the notebook passes beside the answer was changed.
            sentence = f"The check could not run; run the cells above again. {_name_error(error)}"
        print(sentence)

    return print_sentence


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
        place = _find_line(function, error)
        raise AnswerError(f"Your function stopped{place} with {_name_error(error)}") from None
    if result is None:
        raise AnswerError("Not yet: your function returns None. Is its `return` missing?")
    refuse_missing(result)
    return result


def read_number(answer: Any) -> float:
    """One finite number, as Python's, NumPy's or a tensor without dimensions."""
    refuse_missing(answer)
    number = _to_float(answer)
    if number is None:
        raise AnswerError(f"Expected one number, got {_describe(answer)}.")
    if not math.isfinite(number):
        raise AnswerError(f"Expected a finite number, got {number}.")
    return number


def read_numbers(answer: Any, *names: str, whole: bool = False) -> tuple[float, ...]:
    """A finite number for each name, from a tuple, a list, an array or a tensor.

    With `whole`, 10.0 is a number and 10.9 is none.
    """
    refuse_missing(answer)
    kind = "whole" if whole else "finite"
    refusal = AnswerError(f"Expected {len(names)} {kind} numbers: ({', '.join(names)}).")
    values = _to_python(answer)
    if not isinstance(values, Sequence) or len(values) != len(names):
        raise refusal
    numbers = tuple(_to_float(value) for value in values)
    if any(number is None or not math.isfinite(number) for number in numbers):
        raise refusal
    if whole and any(number != round(number) for number in numbers):
        raise refusal
    return numbers


def read_word(answer: Any, *words: str) -> str:
    """One of these words, which are in small letters, however it is written."""
    refuse_missing(answer)
    word = answer.strip().lower() if isinstance(answer, str) else ""
    if word not in words:
        raise AnswerError(f"Expected one of these, in quotes: {', '.join(words)}.")
    return word


def read_letters(answer: Any, letters: str, least: int = 1) -> set[str]:
    """Which of these letters, at least so many, are named by a text, or by a collection of texts.

    The text may be `"bd"` or `"B, D"`.
    """
    refuse_missing(answer)
    refusal = AnswerError(f'Expected letters from {letters[0]} to {letters[-1]}, as in "ad".')
    texts = list(answer) if isinstance(answer, list | tuple | set) else [answer]
    if not all(isinstance(text, str) for text in texts):
        raise refusal
    named = set("".join(texts).lower()) - set(" ,")
    if len(named) < least or not named <= set(letters):
        raise refusal
    return named


def read_tensor(answer: Any) -> Tensor:
    """A tensor of finite numbers, as float64 on the CPU and without its gradient."""
    refuse_missing(answer)
    if not isinstance(answer, Tensor):
        raise AnswerError(f"Expected a tensor, got {_describe(answer)}.")
    if answer.is_complex():
        raise AnswerError(f"Expected real numbers, got {answer.dtype}.")
    try:
        values = answer.detach().to("cpu", torch.float64)
        is_finite = bool(values.isfinite().all())
    except (RuntimeError, ValueError):  # Sparse, on the meta device, not yet initialised, ...
        raise AnswerError("Expected a tensor whose values can be read.") from None
    if not is_finite:
        raise AnswerError("Expected finite numbers, but your tensor holds NaN or inf.")
    return values


def compare_number(
    number: float, sentences: Mapping[float, str], otherwise: str = "Not that number yet."
) -> str:
    """The sentence for a number: the right one, common mistakes, or `otherwise`."""
    for value, sentence in sentences.items():
        if math.isclose(number, value, rel_tol=1e-5, abs_tol=1e-5):
            return sentence
    return otherwise


def compare_letters(
    answer: Any, refused: Mapping[str, str], missing: Mapping[str, str], right: str
) -> str:
    """The sentence for a choice of statements, given as letters.

    `refused` says why a letter is wrong, `missing` what a right one that is not there asks.
    """
    letters = read_letters(answer, "".join(sorted({*refused, *missing})))
    for letter, sentence in refused.items():
        if letter in letters:
            return sentence
    for letter, sentence in missing.items():
        if letter not in letters:
            return sentence
    return right


def compare_tensor(
    answer: Any,
    expected: Tensor,
    mistakes: Sequence[tuple[Tensor, str]] = (),
    right: str = RIGHT,
) -> str:
    """The sentence for a tensor: `right`, or that of the common mistake it is equal to."""
    values = read_tensor(answer)
    if values.shape != expected.shape:
        return f"Expected shape {tuple(expected.shape)}, got {tuple(values.shape)}."
    for other, sentence in [(expected, right), *mistakes]:
        if _is_close(values, other):
            return sentence
    return "The shape is right, the values are not yet."


def _is_close(values: Tensor, expected: Tensor) -> bool:
    """Whether what `read_tensor` returned has these values, but for rounding in float32."""
    expected = expected.detach().to("cpu", torch.float64)
    return torch.allclose(values, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def random_tensor(*shape: int) -> Tensor:
    """The same normal numbers every time, without touching the global random state."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):  # On the CPU: answers need no other device.
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def refuse_missing(answer: Any) -> None:
    """Raise an `AnswerError` for an answer that has not been given."""
    if answer is None or answer is ...:
        raise AnswerError(
            "Not yet: put your answer in place of the dots, then run it and the check again."
        )


def _to_python(value: Any) -> Any:
    """Tensors and arrays as Python's numbers and lists of them, anything else as it is."""
    if not isinstance(value, Tensor | np.ndarray | np.generic):
        return value
    try:
        return value.tolist()
    except (RuntimeError, ValueError):  # A tensor whose values cannot be read.
        return value


def _to_float(value: Any) -> float | None:
    """A real number as a float, infinite where it is too large; None for anything else."""
    value = _to_python(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _describe(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, Tensor | np.ndarray):
        return f"{kind} of shape {tuple(value.shape)}, {value.dtype}"
    return kind


def _name_error(error: Exception) -> str:
    """Its kind and the first line of its message: those that follow help nobody here."""
    name, message = type(error).__name__, str(error).partition("\n")[0]
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
