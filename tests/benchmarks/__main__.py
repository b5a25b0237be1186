"""All benchmarks, as Markdown: `python tests/benchmarks [--quick]`."""

import argparse

import exactness
import explorer
import memory
import retraining
import speed

parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
parser.add_argument("--quick", action="store_true", help="does each run? Its figures mean nothing")
quick = ["--quick"] if parser.parse_args().quick else []
for benchmark in (speed, memory, retraining, exactness, explorer):
    benchmark.main(quick)
