"""The house as DESIGN.md draws it: who imports whom, what an import costs, how much there is."""

import ast
import io
import subprocess
import sys
import tokenize
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
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(CORE)


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


def code_lines(source):
    """How many lines are neither empty nor comment nor docstring."""
    lines, documented = set(), ast.Module | ast.ClassDef | ast.FunctionDef
    marks = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in marks and token.string:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented) and ast.get_docstring(node):
            lines.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_lines_of_code_are_counted_as_a_reader_would():
    assert code_lines('"""Doc."""\n\nx = [  # Why.\n    1,\n]\n# Only why.\n') == 3
    assert code_lines('def f():\n    """Doc\n    doc."""\n    return """a\nb"""\n') == 3


def test_the_core_is_read_in_one_sitting():
    assert sum(code_lines((FOLDER / f"{name}.py").read_text("utf-8")) for name in CORE) <= 700


def test_nothing_in_the_library_is_exempt_from_its_format():
    exempt = [p for p in FOLDER.rglob("*.py") if "fmt: " in p.read_text("utf-8")]
    assert exempt == []
