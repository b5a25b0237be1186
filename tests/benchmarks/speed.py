"""Time of Grad-CAM as ratios to the plain forward pass: `python tests/benchmarks/speed.py`.

In every round each method runs once, in random order, and is divided by the forward pass (under
inference_mode, on the same pictures) of the same round. Printed: the median of these ratios and
its quartiles. "forward again" is the forward pass against itself: how far noise reaches.
"""

import argparse
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import torch
from methods import NETWORKS, PEERS, markdown, network, prepared

from camutils import Classifier

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def measure(
    classifier: Classifier,
    methods: list[str],
    batch: int,
    n_classes: int,
    options: argparse.Namespace,
) -> tuple[dict[str, list[float]], float]:
    """Ratios of every method to the forward pass, one a round, and the forward pass in seconds."""
    x = torch.rand(batch, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 4 - 2
    with torch.inference_mode():
        classes = classifier.model(x).mean(0).topk(n_classes).indices.tolist()
    clock, order = CLOCKS[options.clock], random.Random(0)
    methods = ["forward", "forward again", *methods]
    seconds = {method: [] for method in methods}
    start, rounds, least = time.monotonic(), -1, options.rounds
    while rounds < least or (
        rounds < 10 * options.rounds and time.monotonic() - start < options.seconds
    ):
        for method in order.sample(methods, len(methods)):
            with prepared(method.removesuffix(" again"), classifier) as run:
                begin = clock()
                result = run(x, classes)
                seconds[method].append(clock() - begin)
                del result
        rounds += 1
        if rounds == 0:  # The first round warms up and does not count.
            seconds = {method: [] for method in methods}
            if time.monotonic() - start > options.seconds:
                least = min(least, 3)  # Long passes are steadier, and there are minutes of them.
    forward = seconds.pop("forward")
    ratios = {
        method: [s / f for s, f in zip(seconds[method], forward, strict=True)] for method in seconds
    }
    return ratios, statistics.median(forward)


def cell(ratios: list[float]) -> str:
    """The median and the quartiles of it."""
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def compare(name: str, options: argparse.Namespace) -> list[list[str]]:
    """One class, the top five, a batch of eight: camutils beside each peer."""
    methods, rows, classifier = ["camutils", *PEERS], [], network(name)
    for what, batch, n_classes in (
        ("one class", 1, 1),
        ("top five classes", 1, 5),
        ("batch of 8", 8, 1),
    ):
        ratios, forward = measure(classifier, methods, batch, n_classes, options)
        best = min(statistics.median(ratios[method]) for method in methods)
        # Alike: medians no farther apart than the quartiles of the forward pass against itself.
        low, _, high = statistics.quantiles(ratios["forward again"], n=4, method="inclusive")
        shown = [
            f"**{cell(ratios[m])}**"
            if statistics.median(ratios[m]) <= best * (1 + high - low)
            else cell(ratios[m])
            for m in methods
        ]
        row = [f"{name}, {what}", f"{forward * 1000:.0f} ms", cell(ratios["forward again"])]
        rows.append([*row, *shown, str(len(ratios["camutils"]))])
        progress(rows[-1])
    return rows


def grow(name: str, options: argparse.Namespace) -> list[list[str]]:
    """More pictures, more classes: how the cost of camutils grows."""
    rows, classifier = [], network(name)
    tasks = [(batch, 1) for batch in (1, 4, 16, 64)[: 2 if options.quick else 4]]
    tasks += [(1, n_classes) for n_classes in (5, 20, 100)]
    for batch, n_classes in tasks:
        ratios, forward = measure(classifier, ["camutils"], batch, n_classes, options)
        cells = [cell(ratios["forward again"]), cell(ratios["camutils"])]
        rows.append([name, str(batch), str(n_classes), f"{forward * 1000:.0f} ms", *cells])
        progress(rows[-1])
    return rows


def in_new_processes(rows: Callable, options: argparse.Namespace) -> list[list[str]]:
    """The rows of all networks, each from a fresh process.

    In one process the memory that a network leaves behind makes the next one's passes slower or
    faster, and not all methods alike.
    """
    tasks = [(name, options) for name in options.networks]
    fresh = multiprocessing.get_context("spawn").Pool
    with fresh(1, torch.set_num_threads, (options.threads,), maxtasksperchild=1) as pool:
        return [row for result in pool.starmap(rows, tasks, chunksize=1) for row in result]


def progress(row: list[str]) -> None:
    """A line on stderr as soon as it is known; the tables go to stdout."""
    print(*row, sep=" | ", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rounds: does it run?")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    parser.add_argument("--rounds", type=int, default=7, help="at least; slow rows: 3")
    parser.add_argument("--seconds", type=float, default=15, help="per row, if not yet up")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--only", choices=("compare", "grow"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 2, 0
    peers = ", ".join(f"{name} {version(name)}" for name in ("captum", "torchcam", "grad-cam"))
    print(
        f"{peers}, {options.threads} thread(s), {options.clock} clock, torch {torch.__version__}, "
        "float32, 224x224 pictures on the CPU. The classes are the network's first answers, found "
        "before the clock starts and given to every method alike; each method is constructed "
        "before it starts, too."
    )
    if options.only != "grow":
        print("\n### Time as a multiple of the forward pass: median (quartiles)\n")
        header = ["network, task", "forward pass", "forward again", "camutils", *PEERS, "rounds"]
        print(markdown(header, in_new_processes(compare, options)))
        print(
            "\nBold: the smallest median of the row, and those that differ from it by no more "
            "than noise (no farther off than the quartiles of the forward pass against itself are "
            "apart)."
        )
    if options.only != "compare":
        print("\n### How it grows: multiple of the forward pass of the same batch\n")
        header = ["network", "pictures", "classes", "forward pass", "forward again", "camutils"]
        print(markdown(header, in_new_processes(grow, options)))


if __name__ == "__main__":
    main()
