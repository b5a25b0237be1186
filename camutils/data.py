"""Where the pictures and weights of the project lie, and files that appear whole or not at all."""

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
        An absolute path. It need not exist: the reader's own originals often do not.

    Raises:
        FileNotFoundError: there is no `data/` beside the package and none in `CAMUTILS_DATA`.
    """
    beside_package = Path(__file__).resolve().parent.parent / "data"
    folder = Path(os.environ.get("CAMUTILS_DATA") or beside_package)
    if not folder.is_dir():
        remedy = "install with `pip install -e .` from a clone, or set it to the data/ of one"
        raise FileNotFoundError(f"CAMUTILS_DATA: got {folder}, which is not a folder; {remedy}.")
    return folder.resolve().joinpath(*parts)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to: it becomes `path` at the end, or vanishes on an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder, path.name)
        yield temporary
        temporary.replace(path)
