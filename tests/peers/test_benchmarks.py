"""The benchmarks all start, and the differences to the peers are small; times are not tested."""

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def printed_by(*command):
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    options = {"capture_output": True, "text": True, "encoding": "utf-8", "timeout": 200}
    done = subprocess.run([sys.executable, *command], env=environment, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_of_them_start():
    assert "--quick" in printed_by(str(BENCHMARKS), "--help")


def test_our_maps_differ_from_those_of_the_peers_by_rounding_only():
    table = printed_by(str(BENCHMARKS / "exactness.py"), "--quick")
    (row,) = (line for line in table.splitlines() if line.startswith("| efficientnet_lite0"))
    network, maps, *differences = row.strip("| ").split(" | ")
    assert (network, maps) == ("efficientnet_lite0 (embedded weights), `features`", "15")
    assert len(differences) == 3
    assert max(map(float, differences)) < 1e-5
