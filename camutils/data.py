"""The folder of the pictures and weights, and files that are written whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def data_path(*parts: str) -> Path:
    """The path of a file or folder in `data/`, from wherever the code runs.

    `data/` is the clone's, or the folder that the environment variable `CAMUTILS_DATA` names.

    Args:
        parts: the names below `data/`, as in `data_path("scenes", "elephants.jpg")`.

    Returns:
        An absolute path; what it names need not exist.

    Example:
        >>> data_path("scenes", "elephants.jpg").name
        'elephants.jpg'
    """
    folder = Path(os.environ.get("CAMUTILS_DATA") or Path(__file__).parents[1] / "data")
    return folder.resolve().joinpath(*parts)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to: renamed to `path` at the end, deleted on an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unfinished-") as folder:
        temporary = Path(folder, path.name)
        yield temporary
        temporary.replace(path)
