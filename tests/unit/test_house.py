"""The house: who imports whom, and what an import brings with it."""

import ast
import subprocess
import sys
from pathlib import Path

import camutils

FOLDER = Path(camutils.__file__).parent
# Each module depends only on those before it.
ORDER = ("data", "images", "cam", "models", "heads", "plotting", "download")
CORE = (*ORDER, "__init__")


def imported(name):
    """What a module imports of camutils, wherever in it."""
    for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                yield from [module] if module else [alias.name for alias in node.names]
            elif module.split(".")[0] == "camutils":
                yield module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "camutils")


def test_the_core_is_these_modules():
    assert sorted(path.stem for path in FOLDER.rglob("*.py")) == sorted(CORE)


def test_a_module_imports_only_those_above_it():
    for place, name in enumerate(ORDER):
        assert set(imported(name)) <= set(ORDER[:place]), name
    assert set(imported("__init__")) <= set(ORDER)


def test_importing_camutils_imports_neither_the_course_nor_a_notebook():
    code = "import sys, camutils, camutils.download; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines())
    assert "camutils.plotting" in loaded
    forbidden = {"course", "matplotlib.pyplot", "IPython", "ipywidgets", "notebook"}
    forbidden |= {"jupyterlab", "jupyter_client", "nbformat", "nbconvert", "pillow_heif"}
    assert loaded & forbidden == set()
