"""What the tests of the exercises share."""

import copy
import random
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn


def traces(given):
    """All that a check could change: random states, tensors, modes, gradients and hooks."""
    states = [random.getstate(), np.random.get_state()[1].tolist()]
    tensors = [torch.get_rng_state(), *(t for t in given if isinstance(t, Tensor))]
    for model in [g.model for g in given if hasattr(g, "model")]:
        tensors += [*model.parameters(), *model.buffers()]
        for module in model.modules():
            hooks = [module._forward_hooks, module._forward_pre_hooks, module._backward_hooks]
            states.append((module.training, [len(kind) for kind in hooks]))
    states += [(tensor.grad is None, tensor.requires_grad) for tensor in tensors]
    return states, copy.deepcopy([tensor.detach() for tensor in tensors])


@pytest.fixture
def said(capsys):
    """`said(check, answer, *given)`: the one line that a check prints; it leaves nothing behind."""

    def said(check, answer, *given):
        states, tensors = traces(given)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert check(answer, *given) is None
        states_after, tensors_after = traces(given)
        assert states_after == states
        assert all(torch.equal(*pair) for pair in zip(tensors_after, tensors, strict=True))
        printed = capsys.readouterr()
        assert printed.err == ""
        assert printed.out.endswith("\n")
        assert printed.out.count("\n") == 1
        assert "could not run" not in printed.out
        return printed.out.rstrip("\n")

    return said


@pytest.fixture
def rude():
    """`rude(solution)`: gives the same, but spoils what it is given and all random states."""

    def rude(solution):
        def spoil(*arguments):
            result = copy.deepcopy(solution(*arguments))
            for argument in arguments:
                if isinstance(argument, nn.Module):
                    argument.requires_grad_(False).weight.zero_()
                if isinstance(argument, Tensor):
                    argument.zero_()
            for seed in (random.seed, np.random.seed, torch.manual_seed):
                seed(random.randrange(1000))
            return result

        return spoil

    return rude
