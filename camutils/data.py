"""The folder of the pictures and weights, and files that are written whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def data_path(*parts: str) -> Path:
    """The path of a file or folder in `data/`, from wherever the code runs.

    Args:
        parts: the names below `data/`, as in `data_path("scenes", "elephants.jpg")`.

    Returns:
        An absolute path; what it names need not exist.

    Raises:
        FileNotFoundError: there is no `data/` beside the package and none in `CAMUTILS_DATA`.
    """
    folder = Path(os.environ.get("CAMUTILS_DATA") or Path(__file__).parents[1] / "data")
    if not folder.is_dir():
        raise FileNotFoundError(f"CAMUTILS_DATA: got {folder}, expected the data/ of a clone.")
    return folder.resolve().joinpath(*parts)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to: renamed to `path` at the end, deleted on an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder, path.name)
        yield temporary
        temporary.replace(path)
