"""Runs the README's command for `run` or `test` with this very Python: `python .ci/readme.py test`.

The README makes a virtual environment, whose programs lie in other places on Windows. Here pip,
pytest and the others run as modules of the Python that runs this script, so that the same line does
on all systems. `--show` prints the commands and runs nothing.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = {"sphinx-build": "sphinx"}  # Others are called as their modules are.


def commands(name: str) -> list[list[str]]:
    """What stands below the README's `<!-- command: NAME -->`, without the virtual environment."""
    readme = (ROOT / "README.md").read_text("utf-8")
    found = re.search(rf"<!-- command: {re.escape(name)} -->\n```sh\n(.*)\n```", readme)
    if not found:
        raise SystemExit(f"README.md has no command {name!r}")
    make, *rest = (shlex.split(part) for part in found[1].split(" && "))
    if make != ["python3", "-m", "venv", ".venv"]:
        rest = [make, *rest]
    lines = []
    for program, *arguments in rest:
        module = program.removeprefix(".venv/bin/")
        if module == program:
            raise SystemExit(f"{program} is not in .venv/bin")
        start = [] if module == "python" else ["-m", MODULES.get(module, module)]
        lines.append([sys.executable, *start, *arguments])
    return lines


def main(name: str, *options: str) -> None:
    """Run the commands one after the other, until one fails."""
    for line in commands(name):
        print(shlex.join(line), flush=True)
        if "--show" not in options:
            done = subprocess.run(line, cwd=ROOT)
            if done.returncode:
                raise SystemExit(done.returncode)


if __name__ == "__main__":
    main(*sys.argv[1:] or ["test"])
