"""All benchmarks, as Markdown: `python tests/benchmarks [--quick]`."""

import sys

import exactness
import explorer
import memory
import retraining
import speed

quick = ["--quick"] if "--quick" in sys.argv[1:] else []
for benchmark in (speed, memory, retraining, exactness, explorer):
    benchmark.main(quick)
