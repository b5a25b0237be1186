"""GAPClassifier, extract_features and fit_head on small tensors."""

import math

import pytest
import torch
from torch import nn

from camutils import GAPClassifier, extract_features, fit_head


def small_stack():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(8)
    )


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(10, 3, 32, 40, generator=generator)
    y = torch.arange(10) % 3
    return [(x[:4], y[:4]), (x[4:8], y[4:8]), (x[8:], y[8:])]


@pytest.fixture(scope="module")
def clusters():
    """Activations (60, 8, 2, 3) of three classes that can be told apart."""
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


def test_the_head_has_one_weight_for_each_map_and_class():
    model = GAPClassifier(small_stack(), 4)
    assert model.head.weight.shape == (4, 6)
    assert [n for n, p in model.named_parameters() if p.requires_grad] == [
        "head.weight",
        "head.bias",
    ]


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


def test_the_head_takes_the_stack_s_dtype():
    model = GAPClassifier(small_stack().double(), 3)
    assert model(torch.randn(1, 3, 32, 32, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("n_classes", [1, 0, -2])
def test_fewer_than_two_classes_are_refused(n_classes):
    with pytest.raises(ValueError, match="n_classes"):
        GAPClassifier(small_stack(), n_classes)


@pytest.mark.parametrize("n_classes", [2.0, "3", True, None])
def test_a_number_of_classes_that_is_none_is_refused(n_classes):
    with pytest.raises(TypeError, match="n_classes"):
        GAPClassifier(small_stack(), n_classes)


def test_a_stack_that_gives_no_maps_is_refused():
    with pytest.raises(ValueError, match="features"):
        GAPClassifier(nn.Sequential(small_stack(), nn.Flatten()), 3)
    with pytest.raises(TypeError, match="features"):
        GAPClassifier(lambda x: x, 3)


# extract_features


def test_activations_and_labels_come_whole_and_in_order(batches):
    stack = small_stack().eval()
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


def test_extraction_runs_in_eval_mode_and_restores_each_mode(batches):
    stack = small_stack().train()
    stack[2].eval()
    modes = [m.training for m in stack.modules()]
    state = {k: v.clone() for k, v in stack.state_dict().items()}
    extract_features(stack, batches, progress=False)
    assert [m.training for m in stack.modules()] == modes
    assert all(torch.equal(v, state[k]) for k, v in stack.state_dict().items())


def test_modes_are_restored_when_the_loader_fails(batches):
    stack = small_stack().train()

    def failing():
        yield batches[0]
        raise OSError("the disc is gone")

    with pytest.raises(OSError, match="disc"):
        extract_features(stack, failing(), progress=False)
    assert all(m.training for m in stack.modules())


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


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        ([], "no batches"),
        ([torch.zeros(2, 3, 32, 32)], "pictures, labels"),
        ([(torch.zeros(3, 32, 32), torch.zeros(3).long())], "N, C, H, W"),
        ([(torch.zeros(2, 3, 32, 32), torch.zeros(3).long())], "labels"),
        ([(torch.full((2, 3, 32, 32), math.nan), torch.zeros(2).long())], "NaN"),
        ([(torch.zeros(2, 3, s, s), torch.zeros(2).long()) for s in (32, 64)], "several sizes"),
        ([(torch.zeros(2, 3, 32, 32), torch.tensor([0, -1]))], "labels"),
    ],
)
def test_a_loader_that_cannot_be_used_is_refused_in_words(loader, words):
    with pytest.raises(ValueError, match=words):
        extract_features(small_stack(), loader, progress=False)


def test_labels_that_are_no_whole_numbers_are_refused():
    with pytest.raises(TypeError, match="whole numbers"):
        extract_features(
            small_stack(), [(torch.zeros(2, 3, 32, 32), torch.zeros(2))], progress=False
        )
    with pytest.raises(TypeError, match="features"):
        extract_features(torch.relu, [], progress=False)


# fit_head


def test_the_head_learns_classes_that_can_be_told_apart(clusters):
    head, history = fit_head(*clusters)
    logits = head(clusters[0].mean((2, 3)))
    assert (logits.argmax(1) == clusters[1]).float().mean() > 0.95
    assert history["accuracy"][-1] > 0.95
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_the_head_is_a_plain_linear_layer_without_gradients(clusters):
    head, _ = fit_head(*clusters, epochs=3)
    assert type(head) is nn.Linear
    assert (head.in_features, head.out_features) == (8, 3)
    assert all(p.grad is None for p in head.parameters())


def test_the_history_has_one_entry_for_each_epoch(clusters):
    _, history = fit_head(*clusters, epochs=7)
    assert {k: len(v) for k, v in history.items()} == {"loss": 7, "accuracy": 7}
    assert all(isinstance(v, float) for values in history.values() for v in values)


def test_the_first_loss_is_that_of_the_untrained_head(clusters):
    """Longer training starts with the shorter one's epochs: nothing depends on their number."""
    short, long = (fit_head(*clusters, epochs=n).history["loss"] for n in (3, 6))
    assert short == long[:3]


def test_training_twice_gives_the_same_head(clusters):
    torch.manual_seed(1)
    one = fit_head(*clusters, epochs=20)
    torch.manual_seed(2)
    two = fit_head(*clusters, epochs=20)
    assert torch.equal(one.head.weight, two.head.weight)
    assert torch.equal(one.head.bias, two.head.bias)
    assert one.history == two.history


def test_another_seed_starts_elsewhere(clusters):
    one, two = (fit_head(*clusters, epochs=1, seed=seed).head.weight for seed in (0, 1))
    assert not torch.allclose(one, two)


def test_the_global_random_state_is_as_before(clusters):
    state = torch.get_rng_state()
    fit_head(*clusters, epochs=3)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_number_of_threads_is_as_before(clusters):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        fit_head(*clusters, epochs=3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_it_trains_under_no_grad_and_inference_mode(clusters):
    plain = fit_head(*clusters, epochs=5).head.weight
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(fit_head(*clusters, epochs=5).head.weight, plain)


def test_the_activations_are_not_changed(clusters):
    activations, labels = (t.clone() for t in clusters)
    fit_head(activations, labels, epochs=3)
    assert torch.equal(activations, clusters[0])
    assert torch.equal(labels, clusters[1])


def test_more_classes_than_occur_may_be_asked_for(clusters):
    assert fit_head(*clusters, n_classes=5, epochs=1).head.out_features == 5


def test_weight_decay_makes_the_weights_smaller(clusters):
    free, held = (fit_head(*clusters, weight_decay=d).head.weight.norm() for d in (0, 1))
    assert held < 0.8 * free


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": torch.zeros(59).long()}, "labels"),
        ({"labels": torch.arange(60) % 3 - 1}, "labels"),
        ({"activations": torch.zeros(60, 8)}, "activations"),
        ({"activations": torch.full((60, 8, 2, 2), math.inf)}, "activations"),
        ({"activations": torch.zeros(60, 8, 2, 2).long()}, "activations"),
        ({"n_classes": 2}, "labels"),
        ({"n_classes": 1}, "n_classes"),
        ({"labels": torch.zeros(60).long()}, "n_classes"),
        ({"epochs": 0}, "epochs"),
        ({"lr": 0.0}, "lr"),
        ({"lr": math.nan}, "lr"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"weight_decay": math.inf}, "weight_decay"),
    ],
)
def test_an_argument_off_its_range_is_refused_by_name(clusters, changes, words):
    arguments = {"activations": clusters[0], "labels": clusters[1], **changes}
    with pytest.raises(ValueError, match=words):
        fit_head(**arguments)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 2.5}, "epochs"),
        ({"n_classes": True}, "n_classes"),
        ({"labels": torch.zeros(60)}, "labels"),
        ({"labels": [0] * 60}, "labels"),
        ({"activations": [[1.0]]}, "activations"),
    ],
)
def test_an_argument_of_the_wrong_type_is_refused_by_name(clusters, changes, words):
    arguments = {"activations": clusters[0], "labels": clusters[1], **changes}
    with pytest.raises(TypeError, match=words):
        fit_head(**arguments)
