"""What must hold for every map and box, searched by hypothesis."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from camutils import class_activation_map, crop_box, normalize_map

pytestmark = pytest.mark.filterwarnings("error")
quickly = settings(max_examples=40, deadline=None, derandomize=True, database=None)
FLOATS = [np.float16, np.float32, np.float64]
DTYPES = [*FLOATS, np.int8, np.uint8, np.int32, np.uint16, np.int64, np.bool_]
SHAPES = hnp.array_shapes(min_dims=2, max_dims=4, max_side=5)


def finite(dtype):
    """Any finite values of a type: zeros and huge ones included, and all but the tiniest."""
    if np.dtype(dtype).kind != "f":
        return None
    width = np.dtype(dtype).itemsize * 8
    tiniest = {"allow_subnormal": width < 64}
    return st.floats(width=width, allow_nan=False, allow_infinity=False, **tiniest)


maps = st.sampled_from(DTYPES).flatmap(lambda t: hnp.arrays(t, SHAPES, elements=finite(t)))
float_maps = st.sampled_from(FLOATS).flatmap(lambda t: hnp.arrays(t, SHAPES, elements=finite(t)))


@quickly
@given(maps)
def test_a_normalised_map_reaches_from_0_to_1_unless_it_is_flat(array):
    before = array.copy()
    scaled = normalize_map(array)
    assert np.array_equal(array, before)
    assert isinstance(scaled, np.ndarray)
    assert scaled.shape == array.shape
    assert scaled.dtype == (array.dtype if array.dtype in FLOATS else np.float32)
    taken = array.astype(scaled.dtype)
    for index in np.ndindex(array.shape[:-2]):
        if taken[index].min() == taken[index].max():
            assert not scaled[index].any()
        else:
            assert scaled[index].min() == 0
            assert scaled[index].max() == 1


@quickly
@given(maps)
def test_tensor_and_array_give_the_same(array):
    tensor = normalize_map(torch.from_numpy(array.copy()))
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), normalize_map(array))


@quickly
@given(float_maps)
def test_normalising_twice_changes_nothing(array):
    once = normalize_map(array)
    np.testing.assert_allclose(normalize_map(once), once, rtol=0, atol=np.finfo(array.dtype).eps)


@quickly
@given(float_maps)
def test_a_normalised_map_keeps_the_order_and_the_proportions(array):
    scaled = normalize_map(array)
    # Where a long double is a double, the span of the largest values would overflow.
    exact = array.astype(np.longdouble) / (4 if np.abs(array).max() > 1 else 1)
    low = exact.min((-2, -1), keepdims=True)
    span = exact.max((-2, -1), keepdims=True) - low
    expected = np.where(span == 0, 0, (exact - low) / np.where(span == 0, 1, span))
    # A float's own rounding, of the differences and of the quotient.
    tolerance = 4 * np.finfo(array.dtype).eps
    np.testing.assert_allclose(scaled.astype(np.longdouble), expected, rtol=0, atol=tolerance)


@quickly
@given(float_maps)
def test_each_map_is_scaled_by_itself(array):
    scaled = normalize_map(array)
    for index in np.ndindex(array.shape[:-2]):
        assert np.array_equal(scaled[index], normalize_map(array[index]))


@quickly
@given(maps, st.integers(0, 3))
def test_views_are_taken_as_they_are(array, turn):
    view = np.rot90(array, turn, (-2, -1))
    assert np.array_equal(normalize_map(view), np.rot90(normalize_map(array), turn, (-2, -1)))


@st.composite
def gap_networks(draw):
    """Features (N, C, h, w), a linear layer on their means, and classes."""
    n, channels, height, width = (draw(st.integers(1, 4)) for _ in range(4))
    n_classes, k = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    features = torch.randn(n, channels, height, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(n_classes, channels, generator=generator, dtype=torch.float64)
    bias = torch.randn(n_classes, generator=generator, dtype=torch.float64)
    classes = draw(st.lists(st.integers(0, n_classes - 1), min_size=k, max_size=k))
    return features, weight, bias, classes


@quickly
@given(gap_networks())
def test_the_mean_of_a_class_activation_map_plus_the_bias_is_the_logit(network):
    features, weight, bias, classes = network
    cam = class_activation_map(features, weight, classes)
    assert cam.shape == (len(features), len(classes), *features.shape[2:])
    logits = torch.nn.functional.linear(features.mean((2, 3)), weight, bias)
    torch.testing.assert_close(cam.mean((2, 3)) + bias[classes], logits[:, classes])


@quickly
@given(gap_networks(), st.floats(-3, 3), st.floats(-3, 3))
def test_a_class_activation_map_is_linear_in_features_and_weight(network, a, b):
    features, weight, _, classes = network
    other, heavier = features.flip(1).cos(), weight.sin()
    cam = class_activation_map
    torch.testing.assert_close(
        cam(a * features + b * other, weight, classes),
        a * cam(features, weight, classes) + b * cam(other, weight, classes),
    )
    torch.testing.assert_close(
        cam(features, a * weight + b * heavier, classes),
        a * cam(features, weight, classes) + b * cam(features, heavier, classes),
    )


positive = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(0, 1e9)
)
sizes = st.tuples(st.integers(1, 700), st.integers(1, 700))


@quickly
@given(positive, sizes, st.floats(0.01, 1), st.floats(0, 3))
def test_the_crop_box_lies_inside_the_picture_and_holds_the_peak(heatmap, size, threshold, margin):
    box = crop_box(heatmap, size, threshold, margin)
    left, upper, right, lower = box
    assert all(isinstance(side, int) for side in box)
    assert 0 <= left < right <= size[0]
    assert 0 <= upper < lower <= size[1]
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    width, height = size[0] / heatmap.shape[1], size[1] / heatmap.shape[0]
    assert left <= column * width + 1e-6
    assert right >= (column + 1) * width - 1e-6
    assert upper <= row * height + 1e-6
    assert lower >= (row + 1) * height - 1e-6
    wider = crop_box(heatmap, size, threshold / 2, margin + 0.1)
    assert wider[0] <= left
    assert wider[1] <= upper
    assert wider[2] >= right
    assert wider[3] >= lower
