"""Rebuilds notebooks in place.

`jupyter nbconvert --config notebooks/nbconvert_config.py notebooks/00_start_here.ipynb`

Each is executed from top to bottom with the embedded networks and written as it is
committed: with its outputs, without timings, and without the live state of widgets, of
which the still picture in the same output is kept.
"""

import os

from nbconvert.preprocessors import Preprocessor

os.environ["CAMUTILS_WEIGHTS"] = "embedded"


class StillOutputs(Preprocessor):
    """Drops the live views of widgets."""

    def preprocess_cell(self, cell, resources, index):
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        return cell, resources


c = get_config()  # noqa: F821  nbconvert provides it.
c.NbConvertApp.export_format = "notebook"
c.NbConvertApp.use_output_suffix = False  # In place.
c.FilesWriter.build_directory = ""
c.ExecutePreprocessor.enabled = True
c.ExecutePreprocessor.record_timing = False
# Without encryption every kernel writes a warning.
c.KernelManager.transport_encryption = "auto"
c.ClearMetadataPreprocessor.enabled = True
c.ClearMetadataPreprocessor.preserve_cell_metadata_mask = {"tags"}
c.ClearMetadataPreprocessor.preserve_nb_metadata_mask = {"kernelspec", "language_info"}
c.NotebookExporter.preprocessors = [
    "nbconvert.preprocessors.CoalesceStreamsPreprocessor",
    StillOutputs,
]
