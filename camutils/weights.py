"""Checkpoint files: fetched into the torch hub cache, whole or not at all, and tensors only."""

import re
import socket
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models


class WeightsError(RuntimeError):
    """Weights that are missing, damaged or unreachable; the message says what to do."""


def cached_path(enum: models.WeightsEnum) -> Path:
    """Where the checkpoint of these weights lies, or will lie."""
    return Path(torch.hub.get_dir(), "checkpoints", enum.url.rsplit("/", 1)[-1])


def download_checkpoint(enum: models.WeightsEnum, name: str) -> Path:
    """The checkpoint's file, fetched if it is not there; WeightsError if it cannot be had."""
    path = cached_path(enum)
    if path.is_file():
        return path
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)  # torch.hub sets none: a dead connection would hang for ever.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = path.stem.rsplit("-", 1)[-1]  # Names end in the start of the file's SHA-256.
        torch.hub.download_url_to_file(enum.url, str(path), digest, progress=True)
    except (OSError, RuntimeError, HTTPException) as error:
        raise WeightsError(
            f"name: {name} could not be downloaded from {enum.url} ({error}). Try again with a "
            "network, or use weights='embedded', which needs none."
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
    return path


def read_checkpoint(enum: models.WeightsEnum, name: str) -> tuple[dict[str, Tensor], Path]:
    """The tensors of the network `name` and their file, fetched if need be."""
    path = download_checkpoint(enum, name)
    return read_tensors(path, f"delete it, then python -m camutils.download {name}"), path


def read_tensors(path: Path, remedy: str) -> dict[str, Tensor]:
    """The named tensors of a file; WeightsError with the remedy if it is anything else."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A broken pickle raises nearly everything; code in it is refused.
        first_line = str(error).partition("\n")[0]
        raise WeightsError(
            f"weights: {path} is not a whole checkpoint of tensors only ({first_line}). "
            f"Remedy: {remedy}."
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise WeightsError(f"weights: {path} holds no dict of named tensors. Remedy: {remedy}.")
    return state


def load_tensors(
    model: nn.Module, state: dict[str, Tensor], path: Path, assign: bool = False
) -> None:
    """Put the tensors of a file into a model; WeightsError if they do not fit it."""
    try:
        model.load_state_dict(state, assign=assign)
    except RuntimeError as error:
        raise WeightsError(
            f"weights: {path} does not fit the network ({error}). Remedy: delete the file and get "
            "it anew."
        ) from error


def rename_old_densenet(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """`denselayer1.norm.1.weight`, as the published files say, to `denselayer1.norm1.weight`."""
    return {re.sub(r"(denselayer\d+\.\w+)\.([12])\.", r"\1\2.", k): v for k, v in state.items()}
