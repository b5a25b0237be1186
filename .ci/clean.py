"""Refuses notebooks that are not committed as they should be: `python .ci/clean.py NOTEBOOK...`.

At most 1.2 MB, one run from top to bottom, no warnings, nothing of the machine that ran it. Needs
nothing but Python: a hook of pre-commit runs it (.pre-commit-config.yaml).
"""

import json
import re
import sys
from pathlib import Path

LIMIT = 1_200_000  # bytes
REBUILD = "jupyter nbconvert --config notebooks/nbconvert_config.py"
FOLDERS = r"(?<![\w.~])/(?:home|root|work|tmp|usr|opt|Users|var)/|\b[A-Z]:\\"


def texts(output: dict) -> list[str]:
    """All that an output says: what is printed, a traceback, and every text among its data."""
    parts = [output.get("text", ""), output.get("evalue", "")]
    parts.append("\n".join(output.get("traceback", [])))
    parts += [v for kind, v in output.get("data", {}).items() if kind.startswith("text/")]
    # A colour's escape sequence may end in a letter and hide where a path begins.
    return [re.sub(r"\x1b\[[\d;]*m", "", "".join(part)) for part in parts]


def faults(path: Path) -> list[str]:
    """What is wrong with a notebook, in words."""
    notebook, found = json.loads(path.read_text("utf-8")), []
    if path.stat().st_size > LIMIT:
        found.append(f"{path.stat().st_size / 1e6:.1f} MB, at most {LIMIT / 1e6} are allowed")
    if set(notebook["metadata"]) != {"kernelspec", "language_info"}:
        found.append("metadata beyond kernelspec and language_info")
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code if "".join(cell["source"]).strip()]
    if counts != list(range(1, len(counts) + 1)):
        found.append("not run once from top to bottom")
    for cell in code:
        if set(cell["metadata"]) - {"tags"}:
            found.append("a cell with metadata beyond its tags")
        for output in cell["outputs"]:
            said = texts(output)
            if output.get("name") == "stderr":
                found.append(f"a warning in the output: {said[0][:60]!r}")
            if any(re.search(FOLDERS, re.sub(r"https?://\S+", "", text)) for text in said):
                found.append("a folder of this machine in the output")
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                found.append("the live state of a widget")
    return list(dict.fromkeys(found))


def main(names: list[str]) -> int:
    """Print what is wrong; 1 if anything is."""
    wrong = [(name, faults(Path(name))) for name in names]
    for name, found in wrong:
        for fault in found:
            print(f"{name}: {fault}")
    if any(found for _, found in wrong):
        print(f"Rebuild it: {REBUILD} NOTEBOOK")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
