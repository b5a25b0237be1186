"""Rebuilds notebooks as they are committed: `python notebooks/pages/rebuild.py 03`.

Formats each with ruff, executes it from top to bottom with the embedded networks and writes it in
place: with its outputs, without timings, and without the live state of widgets, of which the still
picture in the same output is kept. Each picture is marked with a digest of the cell that drew it.
Then says what .ci/clean.py says of it.
"""

import argparse
import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from camutils.data import whole_file
from course.kernels import AT_A_TIME, SHARE_OF_THE_CORES, run_notebook

NOTEBOOKS = Path(__file__).parents[1]
ROOT = NOTEBOOKS.parent
WIDGET = "application/vnd.jupyter.widget-view+json"
KEPT_OF_A_NOTEBOOK = {"kernelspec", "language_info"}


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Leave what is committed of an executed notebook; changed in place."""
    kept = {key: notebook.metadata[key] for key in KEPT_OF_A_NOTEBOOK & notebook.metadata.keys()}
    notebook.metadata = nbformat.from_dict(kept)
    for cell in notebook.cells:
        metadata = {}
        if cell.metadata.get("tags"):
            metadata["tags"] = cell.metadata["tags"]
        if cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            metadata["jupyter"] = {"outputs_hidden": True}  # Unfolds when the reader runs it.
        cell.metadata = nbformat.from_dict(metadata)
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
            for output in cell.outputs:
                data = output.get("data", {})
                data.pop(WIDGET, None)
                if any(kind.startswith("image/") for kind in data):
                    output.metadata["drawn_by"] = _digest(cell.source)
    return notebook


def _digest(source: str) -> str:
    """As .ci/clean.py computes it, which finds pictures whose cell has changed since."""
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Text that was printed in several pieces as one output."""
    joined: list[NotebookNode] = []
    for output in outputs:
        is_text = output.output_type == "stream"
        if is_text and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def rebuild(path: Path) -> Path:
    """Execute a notebook and write it in place."""
    notebook = tidy(run_notebook(path, variables=SHARE_OF_THE_CORES))
    with whole_file(path) as temporary:
        nbformat.write(notebook, temporary)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Rebuild the notebooks that are named, with their solutions; 1 if one is not clean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of their names, as 03; none: all")
    names = tuple(parser.parse_args(arguments).names) or ("",)
    every = [*NOTEBOOKS.glob("[0-9]*.ipynb"), *NOTEBOOKS.glob("solutions/[0-9]*.ipynb")]
    found = [path for path in sorted(every) if path.name.startswith(names)]
    if not found:
        parser.error(f"no notebook begins with {' or '.join(names)}")
    files = [str(path) for path in found]
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", *files], check=True)
    with ThreadPoolExecutor(AT_A_TIME) as pool:  # Their kernels are processes of their own.
        for path in pool.map(rebuild, found):
            print(path.relative_to(ROOT), flush=True)
    return subprocess.run([sys.executable, ROOT / ".ci" / "clean.py", *files]).returncode


if __name__ == "__main__":
    raise SystemExit(main())
