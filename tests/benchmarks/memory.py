"""Peak memory above the model, one process per figure: `python tests/benchmarks/memory.py`.

How it is measured (Linux): a fresh process builds the network, runs the method twice as a warm-up
(threads, code pages, kernels), gives freed memory back (malloc_trim), writes 5 to
/proc/self/clear_refs, which resets the peak of the resident memory, notes VmRSS, runs the method
once more and reads the peak, VmHWM. The figure is the difference, the median of five such runs.
MALLOC_MMAP_THRESHOLD_ is set so that what the C library keeps in reserve does not count. All that a
method itself leaves behind (gradients on parameters, a graph) is dropped before VmRSS is read.
"""

import argparse
import ctypes
import gc
import os
import statistics
import subprocess
import sys
from pathlib import Path

import torch
from methods import NETWORKS, PEERS, markdown, network, prepared

MEGABYTE = 2**20


def resident(key: str) -> int:
    """A figure of /proc/self/status in bytes: VmRSS (now) or VmHWM (the most since the reset)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}; this needs Linux.")


def peak(name: str, method: str, batch: int, n_classes: int) -> float:
    """Megabytes above the model, in this process."""
    classifier = network(name)
    x = torch.rand(batch, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 4 - 2
    classes = list(range(100, 100 + n_classes))
    trim = ctypes.CDLL(None).malloc_trim
    measured = []
    for _ in range(7):
        with prepared(method, classifier) as run:
            gc.collect()
            trim(0)
            Path("/proc/self/clear_refs").write_text("5")
            before = resident("VmRSS")
            result = run(x, classes)
            measured.append(resident("VmHWM") - before)
        del result, run
    return statistics.median(measured[2:]) / MEGABYTE


def in_new_process(*what: str) -> float:
    """`peak` in a fresh process."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, __file__, "--one", *what]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main(arguments: list[str] | None = None) -> None:
    """Print the table, or with --one a single figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one network only")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--one", nargs=4, metavar=("NETWORK", "METHOD", "PICTURES", "CLASSES"))
    options = parser.parse_args(arguments)
    if options.one:
        name, method, batch, n_classes = options.one
        print(peak(name, method, int(batch), int(n_classes)))
        return
    tasks = [("camutils", n) for n in ("1", "5", "100")]
    tasks += [(peer, n) for peer in PEERS for n in ("1", "5")]
    rows = []
    for name in ["efficientnet_lite0"] if options.quick else options.networks:
        forward = in_new_process(name, "forward", "1", "1")
        figures = [in_new_process(name, method, "1", n) for method, n in tasks]
        shown = [f"{figure:.0f} ({figure / forward:.2f})" for figure in figures]
        rows.append([name, f"{forward:.0f}", *shown])
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    print(
        "\n### Peak memory above the model in MB (as a multiple of the forward pass), one picture\n"
    )
    print(markdown(["network", "forward pass", *(f"{m}, {n}" for m, n in tasks)], rows))


if __name__ == "__main__":
    main()
