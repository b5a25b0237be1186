"""Refuses notebooks that are not committed as they should be: `python .ci/clean.py NOTEBOOK...`.

At most 1.2 MB, one run from top to bottom, no warnings, nothing of the machine that ran it, no
figure older than its cell or its caption. Without a name it looks at every notebook. Needs nothing
but Python: a hook of pre-commit runs it (.pre-commit-config.yaml).
"""

import hashlib
import json
import re
import string
import sys
import tomllib
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CAPTIONS = NOTEBOOKS / "course" / "captions.toml"
LIMIT = 1_200_000  # bytes
REBUILD = "python notebooks/pages/rebuild.py"
FOLDERS = r"(?<![\w.~])/(?:home|root|work|tmp|usr|opt|Users|var)/|\b[A-Z]:\\"


def texts(output: dict) -> list[str]:
    """All that an output says: what is printed, a traceback, and every text among its data."""
    parts = [output.get("text", ""), output.get("evalue", "")]
    parts.append("\n".join(output.get("traceback", [])))
    parts += [v for kind, v in output.get("data", {}).items() if kind.startswith("text/")]
    # A colour's escape sequence may end in a letter and hide where a path begins.
    return [re.sub(r"\x1b\[[\d;]*m", "", "".join(part)) for part in parts]


def faults(path: Path, captions: dict[str, dict]) -> list[str]:
    """What is wrong with a notebook, in words."""
    notebook = json.loads(path.read_text("utf-8"))
    found = []
    if path.stat().st_size > LIMIT:
        found.append(f"{path.stat().st_size / 1e6:.1f} MB, at most {LIMIT / 1e6} are allowed")
    if set(notebook["metadata"]) != {"kernelspec", "language_info"}:
        found.append("metadata beyond kernelspec and language_info")
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code if "".join(cell["source"]).strip()]
    if counts != list(range(1, len(counts) + 1)):
        found.append("not run once from top to bottom")
    for cell in code:
        metadata = {key: value for key, value in cell["metadata"].items() if key != "tags"}
        if metadata not in ({}, {"jupyter": {"outputs_hidden": True}}):
            found.append("a cell with metadata beyond its tags and jupyter.outputs_hidden")
        for output in cell["outputs"]:
            said = texts(output)
            if output.get("name") == "stderr":
                found.append(f"a warning in the output: {said[0][:60]!r}")
            if any(re.search(FOLDERS, re.sub(r"https?://\S+", "", text)) for text in said):
                found.append("a folder of this machine in the output")
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                found.append("the live state of a widget")
        found += stale_figures(cell, captions)
    return list(dict.fromkeys(found))


def stale_figures(cell: dict, captions: dict[str, dict]) -> list[str]:
    """The figures of a cell that it, or captions.toml, would show otherwise today."""
    source = "".join(cell["source"])
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    found = []
    alt = ""
    for output in cell["outputs"]:
        data, metadata = output.get("data", {}), output.get("metadata", {})
        if kinds := [kind for kind in data if kind.startswith("image/")]:
            alt = metadata.get(kinds[0], {}).get("alt", "")
            if metadata.get("drawn_by") != digest:
                first_line = source.partition("\n")[0]
                found.append(f"a picture older than its cell, {first_line[:60]!r}")
        text = "".join(data.get("text/markdown", ""))
        if shown := re.match(r"\*\*Figure (\S+)\.\*\* (.*)", text):
            name, caption = shown.groups()
            entry = captions.get(name, {})
            for key, old in (("caption", caption), ("alt", alt)):
                if not pattern(entry.get(key, "")).fullmatch(old):
                    found.append(f"figure {name} has another {key} in captions.toml")
    return found


def pattern(template: str) -> re.Pattern:
    """What a text of captions.toml may become, whatever the values of its placeholders."""
    line = " ".join(template.split())
    parts = string.Formatter().parse(line)
    pieces = [re.escape(text) + (".*" if field else "") for text, field, _, _ in parts]
    return re.compile("".join(pieces))


def main(names: list[str]) -> int:
    """Print what is wrong; 1 if anything is."""
    captions = tomllib.loads(CAPTIONS.read_text("utf-8"))
    every = sorted([*NOTEBOOKS.glob("[0-9]*.ipynb"), *NOTEBOOKS.glob("solutions/[0-9]*.ipynb")])
    wrong = {name: faults(Path(name), captions) for name in names or every}
    for name, found in wrong.items():
        for fault in found:
            print(f"{name}: {fault}")
    if any(wrong.values()):
        print(f"Rebuild it: {REBUILD}, with the notebook's number")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
