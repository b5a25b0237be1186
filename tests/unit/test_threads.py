"""What several threads do at once: each gets its own, and the process stays as it was."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from camutils import fit_head, grad_cam, load_classifier

pytestmark = pytest.mark.filterwarnings("error")


def at_once(*jobs):
    """Run the jobs in a thread each, all started together; their results in order."""
    barrier = threading.Barrier(len(jobs), timeout=60)

    def run(job):
        barrier.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def watched(job, look):
    """What `look` sees while `job` runs in another thread; the job's own errors are raised."""
    seen = {look()}
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(job)
        while not done.done():
            seen.add(look())
        done.result()
    return seen


def parameters(classifier):
    return torch.cat([p.detach().reshape(-1) for p in classifier.model.parameters()])


def test_grad_cam_gives_each_thread_on_one_model_its_own_maps():
    barrier = threading.Barrier(2, timeout=60)

    class Meet(nn.Module):
        def forward(self, x):
            barrier.wait()  # Both threads are inside the forward pass, both hooks are set.
            return x

    torch.manual_seed(0)
    stack, rest = nn.Conv2d(3, 6, 3), [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    alone = nn.Sequential(stack, *rest, nn.Linear(6, 5)).eval()
    together = nn.Sequential(Meet(), stack, Meet(), *alone[1:]).eval()
    jobs = [(torch.randn(1, 3, 32, 48), [0, 1, 2]), (torch.randn(3, 3, 16, 16), 4)]
    expected = [grad_cam(alone, "0", *job) for job in jobs]
    for _ in range(10):
        results = at_once(*[lambda job=job: grad_cam(together, "1", *job) for job in jobs])
        for ours, theirs in zip(results, expected, strict=True):
            assert torch.equal(ours.maps, theirs.maps)
            assert torch.equal(ours.logits, theirs.logits)
    assert not any(module._forward_hooks for module in together.modules())


def test_loading_the_embedded_network_leaves_stdout_alone():
    stdout, networks = sys.stdout, []

    def load():
        networks.append(load_classifier("efficientnet_lite0", "embedded"))

    seen = watched(lambda: at_once(load, load, load, load), lambda: sys.stdout)
    assert seen == {stdout}
    assert sys.stdout is stdout
    assert all(torch.equal(parameters(n), parameters(networks[0])) for n in networks)
    assert len(networks) == 4


def test_random_networks_have_seed_0_in_every_thread_and_no_other_draws_are_disturbed():
    def load():
        return parameters(load_classifier("squeezenet1_1", "random"))

    def draw():
        return torch.stack([torch.rand(1000) for _ in range(300)])

    torch.manual_seed(1)
    expected, alone = draw(), load()
    torch.manual_seed(1)
    one, two, drawn = at_once(load, load, draw)
    assert torch.equal(one, alone)
    assert torch.equal(two, alone)
    assert torch.equal(drawn, expected)


def test_fit_head_gives_the_same_head_in_every_thread_and_disturbs_no_other_draws():
    activations, labels = torch.randn(60, 8, 2, 2), torch.arange(60) % 3

    def fit():
        return fit_head(activations, labels, epochs=20).head.weight

    def draw():
        return torch.stack([torch.rand(1000) for _ in range(300)])

    torch.manual_seed(1)
    expected, alone = draw(), fit()
    torch.manual_seed(1)
    one, two, drawn = at_once(fit, fit, draw)
    assert torch.equal(one, alone)
    assert torch.equal(two, alone)
    assert torch.equal(drawn, expected)


def test_fit_head_does_not_change_the_number_of_threads_even_for_a_moment():
    activations, labels = torch.randn(60, 8, 2, 2), torch.arange(60) % 3

    def fit():
        fit_head(activations, labels, epochs=100)

    def threads_of_a_new_thread():  # It takes the number that the process has by then.
        return at_once(torch.get_num_threads)[0]

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert watched(lambda: at_once(fit, fit), threads_of_a_new_thread) == {3}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
