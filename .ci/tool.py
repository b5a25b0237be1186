"""Runs a program of the environment, whatever shell calls it: `python .ci/tool.py ruff check FILE`.

A hook of pre-commit (.pre-commit-config.yaml) does not know where `.venv` has its programs, which
is another place on Windows. Without `.venv`, as with conda, it takes what is on the path.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(name: str, *arguments: str) -> int:
    """Run it; its exit status."""
    folders = [str(ROOT / ".venv" / folder) for folder in ("bin", "Scripts")]
    path = os.pathsep.join([*folders, os.environ.get("PATH", "")])
    program = shutil.which(name, path=path)
    if program is None:
        print(f"{name} is not installed: see .github/CONTRIBUTING.md, Set up.")
        return 1
    return subprocess.run([program, *arguments]).returncode


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
