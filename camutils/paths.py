"""Where the pictures and weights of the project lie."""

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
        An absolute path. It need not exist (the reader's own originals often do not).

    Raises:
        FileNotFoundError: there is no `data/` beside the package and none in `CAMUTILS_DATA`.
    """
    asked = os.environ.get("CAMUTILS_DATA")
    folder = Path(asked) if asked else Path(__file__).resolve().parent.parent / "data"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"CAMUTILS_DATA: {folder} is not a folder; expected the data/ of a checkout. Install "
            "with `pip install -e .` from a clone, or set CAMUTILS_DATA to its data folder."
        )
    return folder.resolve().joinpath(*parts)


def scene_path(name: str) -> Path:
    """The picture of a scene: the reader's own original where there is one, else ours.

    Args:
        name: a scene's name without ending, as in `"elephants"`.

    Returns:
        `data/originals/<name>.jpg` if that file exists and the run is not an embedded one
        (`CAMUTILS_WEIGHTS=embedded`: tests and committed outputs), else the file in `data/scenes`.

    Raises:
        FileNotFoundError: no such scene; the message lists those there are.
    """
    original = data_path("originals", f"{name}.jpg")
    if original.is_file() and os.environ.get("CAMUTILS_WEIGHTS") != "embedded":
        return original
    for ending in (".jpg", ".webp", ".png"):
        if (ours := data_path("scenes", name + ending)).is_file():
            return ours
    there = sorted(p.stem for p in data_path("scenes").glob("*.*") if not p.stem.endswith("_mask"))
    raise FileNotFoundError(f"name: there is no scene {name!r} in data/scenes; there are {there}.")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` at the end, or vanishes on an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp's own is for its maker's eyes only.
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
