"""One form for every refusal: the argument, what came, what was expected."""

import math
from types import UnionType
from typing import Any

from torch import Tensor, nn


def check(good: Any, name: str, got: Any, expected: str, error: type = ValueError) -> None:
    """Raise `error` with our sentence unless `good`."""
    if not good:
        raise error(f"{name}: got {got}, expected {expected}.")


def check_type(name: str, value: Any, kind: type | UnionType, expected: str) -> None:
    """Raise TypeError unless `value` is of this kind."""
    check(isinstance(value, kind), name, type(value).__name__, expected, TypeError)


def check_module(name: str, value: nn.Module) -> None:
    """Raise TypeError unless `value` is a module."""
    check_type(name, value, nn.Module, "a torch.nn.Module")


def check_tensor(name: str, value: Tensor, shape: str) -> None:
    """Raise unless `value` is a finite, floating tensor with the dimensions of `(N, C, h, w)`."""
    check_type(name, value, Tensor, f"a tensor {shape}")
    dimensions = shape.count(",") + 1
    single = dimensions == 4 and value.ndim == 3
    form = f"{shape}; [None] makes a batch of one" if single else shape
    fits = value.ndim == dimensions and value.numel()
    check(fits, name, f"shape {tuple(value.shape)}", form)
    check(value.is_floating_point(), name, value.dtype, "floating point values")
    check(is_finite(value), name, "NaN or inf", "finite values")


def is_finite(value: Tensor) -> bool:
    """Whether all values are: their sum tells in one pass, unless huge ones add up to infinity."""
    return math.isfinite(value.detach().sum()) or bool(value.isfinite().all())


def check_whole(name: str, value: int, least: int, most: float = float("inf")) -> None:
    """Raise unless `value` is a whole number from `least` to `most`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    check(whole, name, repr(value), "a whole number", TypeError)
    check(value >= least, name, value, f"at least {least}")
    check(value <= most, name, value, f"at most {most}")


def describe(value: Any) -> str:
    """The shape of a tensor and its type if that is not floating, the type of anything else."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{tuple(value.shape)}" + ("" if value.is_floating_point() else f" of {value.dtype}")


def run(module: nn.Module, x: Tensor, name: str) -> Any:
    """`module(x)`; where torch cannot, its error says which argument is to blame."""
    try:
        return module(x)
    except (RuntimeError, IndexError) as error:
        if type(error) not in (RuntimeError, IndexError):  # Out of memory keeps its type.
            raise
        raise RuntimeError(
            f"{name}: got shape {tuple(x.shape)}, expected one that the network can run on: {error}"
        ) from error
