"""The benchmarks all start, and the differences to the peers are small; times are not tested."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """`benchmark(name)`: one of them as a module."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def benchmark(name):
        monkeypatch.delitem(sys.modules, name, raising=False)  # A script of the site's, perhaps.
        return importlib.import_module(name)

    return benchmark


@pytest.mark.parametrize("name", ["speed", "memory", "retraining", "exactness", "explorer"])
def test_it_starts(benchmark, name, capsys):
    with pytest.raises(SystemExit) as ended:
        benchmark(name).main(["--help"])
    assert ended.value.code == 0
    assert "--quick" in capsys.readouterr().out


def test_our_maps_differ_from_those_of_the_peers_by_rounding_only(benchmark, capsys):
    benchmark("exactness").main(["--quick"])
    table = capsys.readouterr().out
    (row,) = (line for line in table.splitlines() if line.startswith("| efficientnet_lite0"))
    network, maps, *differences = row.strip("| ").split(" | ")
    assert (network, maps) == ("efficientnet_lite0 (embedded weights), `features`", "15")
    assert len(differences) == 3
    assert max(map(float, differences)) < 1e-5
