"""Scripts that lie beside what they make, loaded by their path."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def load_script(path: str) -> ModuleType:
    """The module of a file, as `"data/masks/prepare.py"`; it may import what lies beside it."""
    folder = str((ROOT / path).parent)
    if folder not in sys.path:  # Last, where running a script puts it first.
        sys.path.append(folder)
    name = path.removesuffix(".py").replace("/", "_")
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
