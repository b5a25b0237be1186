"""Running a notebook from top to bottom in a kernel of its own."""

import os
from collections.abc import Mapping
from pathlib import Path

import nbformat
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

TIMEOUT = 300  # Seconds for one cell.
AT_A_TIME = 2  # So many kernels run side by side; if all shared all cores, they would wait.
# The C library on Linux gives the memory of every large tensor back, and gets it anew, page by
# page, for the next one: a sixth of the time of these notebooks.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}
SHARE_OF_THE_CORES = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // AT_A_TIME))}


def quiet_kernels() -> Config:
    """The setting without which every kernel writes a warning that it is not encrypted."""
    # Older versions of jupyter_client know neither the warning nor the setting.
    if "transport_encryption" not in KernelManager.class_trait_names():
        return Config()
    return Config({"KernelManager": {"transport_encryption": "auto"}})


def run_notebook(
    path: Path, weights: str | None = "embedded", variables: Mapping[str, str] | None = None
) -> NotebookNode:
    """Execute a notebook in its own folder; the file is left as it is.

    Args:
        path: the notebook.
        weights: the kernel's `CAMUTILS_WEIGHTS`. None: that of this process, else "embedded".
        variables: of the kernel's environment, beside those of this process.

    Returns:
        The notebook with its new outputs.

    Raises:
        CellExecutionError: a cell failed.
    """
    weights = weights or os.environ.get("CAMUTILS_WEIGHTS") or "embedded"
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        config=quiet_kernels(),
    )
    environment = {**KEEP_MEMORY, **os.environ, **(variables or {}), "CAMUTILS_WEIGHTS": weights}
    client.execute(env=environment)
    return notebook
