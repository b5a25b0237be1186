"""What the tests of several rooms need: other threads, and the memory of a process."""

import multiprocessing
import sys
import threading
import warnings

import pytest


@pytest.fixture
def megabytes():
    """`megabytes(work)`: what `work()` takes at its peak, in a process of its own."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells the peak of a process that was forked")
    import resource

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    def megabytes(work):
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe()

        def measure():
            before = peak()
            work()
            there.send(peak() - before)

        child = context.Process(target=measure)
        with warnings.catch_warnings(action="ignore"):  # The child needs none of our threads.
            child.start()
        child.join()
        assert child.exitcode == 0
        return here.recv()

    return megabytes


@pytest.fixture
def in_threads():
    """`in_threads(n, function)`: its results in n threads that begin together."""

    def in_threads(n, function):
        barrier, results = threading.Barrier(n), []

        def work():
            barrier.wait()
            results.append(function())

        threads = [threading.Thread(target=work, daemon=True) for _ in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(results) == n, "a thread hangs or has failed"
        return results

    return in_threads
