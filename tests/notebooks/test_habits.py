"""What only a forge or a contributor runs: workflows, their scripts, hooks, the container."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from packaging.specifiers import SpecifierSet

from camutils.download import ORIGINALS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text("utf-8")


def script(name, *arguments):
    command = [sys.executable, ROOT / ".ci" / name, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def jobs():
    for path in WORKFLOWS:
        yield from yaml.safe_load(path.read_text("utf-8"))["jobs"].values()


def steps():
    return [step for job in jobs() for step in job["steps"]]


def test_the_workflows_fit_the_published_schema():
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.github-workflows", *WORKFLOWS]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_workflows_are_these_and_what_they_call_is_here():
    assert [path.stem for path in WORKFLOWS] == ["connected", "site", "tests"]
    called = [step["run"] for step in steps() if "run" in step]
    assert {".ci/run", "python .ci/readme.py test", "python .ci/site.py"} <= set(called)
    assert "python -m pytest tests/notebooks/test_published.py --pretrained" in called
    for command in called:
        for file in re.findall(r"(?:\.ci|tests|notebooks)/[\w./]+", command):
            assert (ROOT / file).is_file(), command
        for module in re.findall(r"-m (camutils[\w.]*)", command):
            assert importlib.util.find_spec(module), command
        for extra in re.findall(r"\.\[(\w+)\]", command):
            assert extra in PROJECT["optional-dependencies"], command


def test_actions_are_pinned_by_version():
    actions = [step["uses"] for step in steps() if "uses" in step]
    assert actions
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+\.\d+\.\d+", action) for action in actions)


def test_the_tests_run_on_three_systems_from_the_lowest_python_to_the_newest():
    tests = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text("utf-8"))
    matrix = tests["jobs"]["systems"]["strategy"]["matrix"]
    systems = [re.match("[a-z]+", system)[0] for system in matrix["system"]]
    assert systems == ["ubuntu", "macos", "windows"]
    supported = SpecifierSet(PROJECT["requires-python"])
    assert all(f"{python}.0" in supported for python in matrix["python"])
    lowest, newest = re.findall(r"^unit_tests (\S+)", (ROOT / ".ci/run").read_text("utf-8"), re.M)
    assert matrix["python"][:2] == [lowest, newest]
    assert f"Python {lowest} to {matrix['python'][-1]}" in README


@pytest.mark.parametrize("name", ["run", "test"])
def test_the_readmes_command_is_translated_word_for_word(name):
    done = script("readme.py", name, "--show")
    assert (done.returncode, done.stderr) == (0, "")
    install, last = done.stdout.splitlines()
    written = re.search(rf"<!-- command: {name} -->\n```sh\n(.*)\n```", README)[1]
    venv, *rest = written.split(" && ")
    assert venv == "python3 -m venv .venv"
    assert install.endswith(rest[0].replace(".venv/bin/", " -m "))
    program, _, arguments = rest[1].removeprefix(".venv/bin/").partition(" ")
    assert last.endswith(f" -m {program.removesuffix('-build')} {arguments}")


def test_a_command_that_the_readme_has_not_is_refused():
    done = script("readme.py", "fly")
    assert done.returncode == 1
    assert "no command 'fly'" in done.stderr


def test_the_site_is_built_of_both_kinds_of_networks_and_fails_with_a_notebook(tmp_path):
    source = tmp_path / "notebooks"
    source.mkdir()
    # Not the course's own settings, which load PyTorch at each start.
    settings = 'extensions = ["myst_nb"]\nnb_execution_mode = "force"\n'
    (source / "conf.py").write_text(f"{settings}nb_execution_raise_on_error = True\n")
    (source / "index.md").write_text("# Home\n\n```{toctree}\n\n0_one\n```\n")
    code = "import os; print('on the', os.environ['CAMUTILS_WEIGHTS'], 'networks')"

    def build(code):
        cells = [new_markdown_cell("# One"), new_code_cell(code)]
        python = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
        nbformat.write(new_notebook(cells=cells, metadata=python), source / "0_one.ipynb")
        return script("site.py", source, tmp_path / "site")

    assert build(code).returncode == 0
    index = (tmp_path / "site/index.html").read_text("utf-8")
    for kind in ("embedded", "pretrained"):
        assert f'href="{kind}/index.html"' in index
        page = (tmp_path / f"site/{kind}/0_one.html").read_text("utf-8")
        assert f"on the {kind} networks" in page
    assert build(f"{code}; 1 / 0").returncode == 1
    original = tmp_path / "data" / "originals" / "elephants.jpg"
    original.parent.mkdir(parents=True)
    original.touch()
    refused = build(code)
    assert refused.returncode == 1
    assert "may not be published" in refused.stderr


def test_no_workflow_publishes_a_photograph_of_the_sources():
    (download,) = [step["run"] for step in steps() if "camutils.download" in step.get("run", "")]
    assert not set(download.split()) & set(ORIGINALS)


def dirty(notebook):
    """Each way in which a notebook is not clean, and what is said about it."""
    code = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    output = {"output_type": "stream", "name": "stdout", "text": ["fine"]}
    code["outputs"] = [output]
    yield "", lambda: None
    yield "not run once", lambda: code.update(execution_count=7)
    yield "beyond its tags", lambda: code["metadata"].update(collapsed=True)
    yield "beyond kernelspec", lambda: notebook["metadata"].update(widgets={})
    yield "a warning in the output", lambda: output.update(name="stderr")
    yield "a folder of this machine", lambda: output.update(text=["in /home/me/x.py"])
    for kind in ("text/plain", "text/html", "text/markdown"):
        data = {kind: ["<b>in</b> ", "'/home/me/x.py'"]}
        yield "a folder of this machine", lambda data=data: code.update(outputs=[{"data": data}])
    error = {"output_type": "error", "ename": "E", "evalue": "no", "traceback": ["fine"]}
    for wrong in ({"evalue": "no '/tmp/x'"}, {"traceback": ["E", "\x1b[32m/home/me/x.py\x1b[0m"]}):
        spoilt = error | wrong
        yield "a folder of this machine", lambda spoilt=spoilt: code.update(outputs=[spoilt])
    address = {"text/html": "<a href='https://example.org/home/me/'>", "image/png": "/tmp/"}
    yield "", lambda: code.update(outputs=[error, {"data": address}])
    view = {"application/vnd.jupyter.widget-view+json": {}}
    yield "the live state", lambda: code.update(outputs=[{"data": view}])
    yield "MB, at most 1.2", lambda: output.update(text=["x" * 1_300_000])


@pytest.mark.parametrize("i", range(14))
def test_the_hook_refuses_a_notebook_that_is_not_clean(tmp_path, i):
    notebook = json.loads((ROOT / "notebooks/00_start_here.ipynb").read_text("utf-8"))
    ways = list(dirty(notebook))
    assert len(ways) == 14
    words, spoil = ways[i]
    spoil()
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps(notebook), "utf-8")
    done = script("clean.py", path)
    assert done.returncode == bool(words)
    assert words in done.stdout
    assert len(done.stdout.splitlines()) == 2 * bool(words)


def test_the_hook_passes_committed_notebooks():
    done = script("clean.py", *ROOT.glob("notebooks/**/[0-9]*.ipynb"))
    assert (done.returncode, done.stdout) == (0, "")


def test_the_hooks_bring_the_linter_that_the_tests_run_with():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0][
        "hooks"
    ]
    tools = {tool for hook in hooks for tool in hook.get("additional_dependencies", [])}
    ruff = re.search(r"^ruff==\S+", CONSTRAINTS, re.MULTILINE)[0]
    assert {tool for tool in tools if tool.startswith("ruff")} == {ruff}
    assert all("==" in tool for tool in tools)


def test_the_container_is_made_by_the_readmes_commands():
    about = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))
    made = [about["onCreateCommand"], about["updateContentCommand"]]
    for command, name in zip(made, ("run", "test"), strict=True):
        written = re.search(rf"<!-- command: {name} -->\n```sh\n(.*)\n```", README)[1]
        assert written.startswith(f"{command} && ")
    assert (
        ".venv/bin/jupyter lab notebooks/00_start_here.ipynb" in about["postAttachCommand"]["lab"]
    )
    python = about["image"].rpartition(":")[2]
    assert f"{python}.0" in SpecifierSet(PROJECT["requires-python"])


def test_the_version_stands_in_one_place():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert "version" not in citation
    assert {"cff-version", "message", "title", "authors", "license"} <= set(citation)
    changes = (ROOT / ".github/CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)[1]
    assert newest == PROJECT["version"]


def test_what_contributing_names_is_here():
    text = (ROOT / ".github/CONTRIBUTING.md").read_text("utf-8")
    for file in re.findall(r"(?<![\w<])(?:tests|notebooks|data|camutils|\.ci)/[\w./]+\w", text):
        assert (ROOT / file.split("::")[0]).exists(), file
    for module in re.findall(r"python -m (camutils[\w.]*)", text):
        assert importlib.util.find_spec(module), module
    command = re.search(r"uv pip compile .*", CONSTRAINTS)[0]
    assert command in text
