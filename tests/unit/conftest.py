"""What the tests of several rooms need: other threads."""

import threading

import pytest


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
