"""`GAPClassifier`, `extract_features` and `fit_head` on small tensors."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from camutils import GAPClassifier, extract_features, fit_head

pytestmark = pytest.mark.filterwarnings("error")
NAN, INF = math.nan, math.inf


def small_stack():
    """In eval mode, as `load_vgg16_features` gives its own."""
    torch.manual_seed(3)
    stack = [nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True)]
    return nn.Sequential(*stack, nn.MaxPool2d(8)).eval()


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(10, 3, 32, 40, generator=generator)
    y = torch.arange(10) % 3
    return [(x[:4], y[:4]), (x[4:8], y[4:8]), (x[8:], y[8:])]


@pytest.fixture(scope="module")
def clusters():
    """Activations (60, 8, 2, 3) of three classes that can be told apart, and their labels."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(60) % 3
    centres = torch.randn(3, 8, 1, 1, generator=generator)
    return centres[labels] + 0.3 * torch.randn(60, 8, 2, 3, generator=generator), labels


# GAPClassifier


def test_logits_are_the_head_on_the_mean_of_the_maps():
    model = GAPClassifier(small_stack(), 4)
    x = torch.randn(2, 3, 64, 48)
    expected = model.features(x).mean((2, 3)) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected)
    assert model.head.weight.shape == (4, 6)


def test_training_the_model_moves_the_head_only():
    model = GAPClassifier(small_stack(), 3).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1)
    nn.functional.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.arange(4) % 3).backward()
    optimizer.step()
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"head.weight", "head.bias"}


def test_train_mode_leaves_the_stack_in_eval_mode():
    model = GAPClassifier(small_stack(), 3).train()
    assert model.training
    assert model.head.training
    assert not any(m.training for m in model.features.modules())
    assert not model.eval().training


def test_the_head_takes_the_precision_of_the_stack():
    model = GAPClassifier(small_stack().double(), 3)
    assert model(torch.randn(1, 3, 32, 32, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    "stack", [nn.Conv2d(3, 4, 65), nn.Conv2d(1, 4, 3)], ids=["65 pixels at least", "grey"]
)
def test_any_kind_of_stack_gets_a_head_of_its_width(stack):
    assert GAPClassifier(stack, 2).head.weight.shape == (2, 4)


# extract_features


def test_activations_and_labels_come_whole_and_in_order(batches):
    stack = small_stack()
    activations, labels = extract_features(stack, batches, progress=False)
    with torch.no_grad():
        expected = stack(torch.cat([x for x, _ in batches]))
    torch.testing.assert_close(activations, expected)
    assert activations.shape == (10, 6, 4, 5)
    assert labels.tolist() == torch.cat([y for _, y in batches]).tolist()
    assert labels.dtype == torch.int64


def test_extraction_gives_float32_without_gradient(batches):
    activations, _ = extract_features(small_stack().double(), batches, progress=False)
    assert activations.dtype == torch.float32
    assert not activations.requires_grad


def test_a_stack_in_train_mode_is_refused_and_no_buffer_changed(batches):
    stack = small_stack()
    stack[1].train()
    state = {k: v.clone() for k, v in stack.state_dict().items()}
    with pytest.raises(ValueError, match="train mode"):
        extract_features(stack, batches, progress=False)
    assert all(torch.equal(v, state[k]) for k, v in stack.state_dict().items())


def test_extraction_under_inference_mode_gives_tensors_that_can_be_trained_on(batches):
    with torch.inference_mode():
        activations, labels = extract_features(small_stack(), batches, progress=False)
        inside = activations.clone(), labels.clone()
    assert not activations.is_inference()
    assert not labels.is_inference()
    assert fit_head(*inside, epochs=2).head.weight.shape == (3, 6)


def test_the_progress_bar_shows_only_on_request(batches, capfd):
    extract_features(small_stack(), batches, progress=False)
    assert capfd.readouterr() == ("", "")
    extract_features(small_stack(), batches)
    assert "features" in capfd.readouterr().err


PICTURES, LABELS = torch.zeros(2, 3, 32, 32), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("last", "fact"),
    [(nn.Flatten(), r"\(2, 96\).*\(N, C, h, w\)"), (nn.Threshold(INF, NAN), "NaN")],
)
def test_a_stack_whose_activations_cannot_be_used_is_refused(last, fact):
    stack = nn.Sequential(small_stack(), last).eval()
    with pytest.raises(ValueError, match=f"features .*{fact}"):
        extract_features(stack, [(PICTURES, LABELS)], progress=False)


# fit_head


def test_the_head_learns_classes_that_can_be_told_apart(clusters):
    head, history = fit_head(*clusters)
    logits = head(clusters[0].mean((2, 3)))
    assert (logits.argmax(1) == clusters[1]).float().mean() > 0.95
    assert history["accuracy"][-1] > 0.95
    assert history["loss"][-1] < 0.15 * history["loss"][0]


def test_the_head_is_a_plain_linear_layer_without_gradients(clusters):
    head, _ = fit_head(*clusters, epochs=3)
    assert type(head) is nn.Linear
    assert (head.in_features, head.out_features) == (8, 3)
    assert all(p.requires_grad and p.grad is None for p in head.parameters())


def test_the_history_has_the_value_before_each_step(clusters):
    """Longer training starts with the epochs of the shorter: nothing depends on their number."""
    short, long = (fit_head(*clusters, epochs=n).history for n in (3, 6))
    for name in ("loss", "accuracy"):
        assert len(short[name]) == 3
        assert short[name] == long[name][:3]
        assert all(isinstance(value, float) for value in long[name])


def test_the_same_arguments_give_the_same_head_and_use_no_global_random_numbers(clusters):
    one = fit_head(*clusters, epochs=20)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    two = fit_head(*clusters, epochs=20)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.head.weight, two.head.weight)
    assert torch.equal(one.head.bias, two.head.bias)
    assert one.history == two.history


def test_threads_fit_the_same_head_and_no_thread_count_changes_even_for_a_moment(
    clusters, in_threads
):
    def fit():
        return fit_head(*clusters, epochs=40).head.weight

    def threads_of_a_new_thread():  # It takes the number that the process has by then.
        return in_threads(1, torch.get_num_threads)

    alone, before = fit(), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        seen = set(threads_of_a_new_thread())
        with ThreadPoolExecutor(2) as pool:
            fits = [pool.submit(fit) for _ in range(2)]
            while not all(future.done() for future in fits):
                seen.update(threads_of_a_new_thread())
        seen.add(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)
    assert seen == {3}
    assert all(torch.equal(future.result(), alone) for future in fits)


def test_another_seed_starts_elsewhere(clusters):
    one, two = (fit_head(*clusters, epochs=1, seed=seed).head.weight for seed in (0, 1))
    assert not torch.allclose(one, two)


def test_labels_of_any_integer_type_are_taken(clusters):
    activations, labels = clusters
    expected = fit_head(activations, labels, epochs=2).head.weight
    assert torch.equal(fit_head(activations, labels.byte(), epochs=2).head.weight, expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_trains_where_gradients_are_switched_off(clusters, mode):
    plain = fit_head(*clusters, epochs=5).head.weight
    with mode():
        assert torch.equal(fit_head(*clusters, epochs=5).head.weight, plain)


def test_the_activations_and_labels_are_not_changed(clusters):
    activations, labels = (t.clone() for t in clusters)
    fit_head(activations.requires_grad_(), labels, epochs=3)
    assert torch.equal(activations, clusters[0])
    assert torch.equal(labels, clusters[1])
    assert activations.grad is None


def test_more_classes_than_occur_may_be_asked_for(clusters):
    assert fit_head(*clusters, n_classes=5, epochs=1).head.out_features == 5


def test_weight_decay_makes_the_weights_smaller(clusters):
    free, held = (fit_head(*clusters, epochs=60, weight_decay=d).head for d in (0, 3))
    assert held.weight.norm() < 0.8 * free.weight.norm()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"labels": torch.zeros(59).long()}, ValueError, "labels .*60"),
        ({"labels": torch.arange(60) % 3 - 1}, ValueError, "labels .*from 0"),
        ({"labels": torch.zeros(60)}, ValueError, "labels .*integers"),
        ({"labels": torch.full((60,), 10**9)}, ValueError, "labels .*gigabyte"),
        ({"activations": torch.zeros(60, 8)}, ValueError, r"activations .*\(60, 8\)"),
        ({"activations": torch.full((60, 8, 2, 2), INF)}, ValueError, "activations .*inf"),
        ({"activations": [[1.0]]}, TypeError, "activations .*list"),
        ({"n_classes": 2}, ValueError, "labels .*n_classes = 2"),
        ({"lr": 1e30, "epochs": 3}, ValueError, r"lr .*1e\+30"),
    ],
)
def test_what_gives_no_head_is_refused(clusters, changes, error, words):
    arguments = {"activations": clusters[0], "labels": clusters[1], **changes}
    with pytest.raises(error, match=words):
        fit_head(**arguments)
