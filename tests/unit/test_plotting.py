"""Overlays are what their formula says; figures show once, without pyplot."""

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib._pylab_helpers import Gcf
from PIL import Image

from camutils import Figure, normalize_map, overlay, show_cam, show_images

pytestmark = pytest.mark.filterwarnings("error")


def gradient(width=12, height=8):
    return Image.fromarray(np.indices((height, width)).sum(0).astype(np.uint8) * 12).convert("RGB")


@pytest.mark.parametrize("alpha", [0, 0.4, 1, np.float32(0.25)])
@pytest.mark.parametrize("colormap", ["viridis", "jet"])
def test_an_overlay_is_the_weighted_mean_of_picture_and_colour(alpha, colormap):
    picture, heatmap = gradient(), np.random.default_rng(0).random((8, 12))
    laid = np.asarray(overlay(picture, heatmap, alpha, colormap)).astype(float)
    colour = matplotlib.colormaps[colormap](heatmap)[..., :3] * 255
    expected = (1 - alpha) * np.asarray(picture).astype(float) + alpha * colour
    assert np.abs(laid - expected).max() <= 1.5


def test_the_defaults_are_viridis_at_four_tenths():
    picture, heatmap = gradient(), np.eye(3)
    expected = overlay(picture, heatmap, alpha=0.4, colormap="viridis")
    assert overlay(picture, heatmap).tobytes() == expected.tobytes()


def test_the_heat_map_is_interpolated_to_the_pictures_own_size():
    laid = overlay(Image.new("RGB", (90, 30)), np.array([[0.0, 0.5, 1.0]]), 1.0, "gray")
    assert laid.size == (90, 30)
    row = np.asarray(laid)[0, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    np.testing.assert_allclose(row[[0, 14, 44, 75, 89]], [0, 0, 127, 255, 255], atol=4)


def test_the_picture_is_not_changed():
    picture = gradient()
    before = picture.tobytes()
    overlay(picture, np.eye(3))
    show_cam(picture, np.eye(3))
    assert picture.tobytes() == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_of_every_precision_with_or_without_gradient_equal_the_array(dtype):
    picture, heatmap = gradient(), torch.eye(3, dtype=dtype, requires_grad=True)
    assert overlay(picture, heatmap).tobytes() == overlay(picture, np.eye(3)).tobytes()
    assert show_images([heatmap]).axes[0].images[0].get_array().tolist() == np.eye(3).tolist()


def test_values_beyond_the_range_by_rounding_are_taken():
    heatmap = np.array([[-1e-7, 1 + 1e-7]])
    expected = overlay(gradient(), np.array([[0.0, 1.0]]))
    assert overlay(gradient(), heatmap).tobytes() == expected.tobytes()


def test_a_sixteen_bit_or_transparent_picture_looks_as_load_image_gives_it():
    flat = np.zeros((2, 2))
    half = overlay(Image.fromarray(np.full((4, 4), 32896, np.uint16)), flat, 0)
    assert half.getpixel((0, 0)) == (128, 128, 128)
    clear = overlay(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), flat, 0)
    assert clear.getpixel((0, 0)) == (255, 255, 255)


def test_show_cam_shows_picture_cells_and_overlay():
    picture, heatmap = gradient(), normalize_map(np.arange(6.0).reshape(2, 3))
    figure = show_cam(picture, heatmap, "African elephant", alpha=0.3, colormap="jet")
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert np.array_equal(shown[0], np.asarray(picture))
    np.testing.assert_allclose(shown[1], heatmap, atol=1e-6)
    assert np.array_equal(shown[2], np.asarray(overlay(picture, heatmap, 0.3, "jet")))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["picture", "heat map, 2 x 3 cells", "overlay"]
    assert figure.get_suptitle() == "African elephant"


def test_a_grey_picture_is_shown_grey_and_not_in_the_colours_of_a_map():
    shown = show_cam(gradient().convert("L"), np.eye(2)).axes[0].images[0].get_array()
    assert np.array_equal(shown, np.asarray(gradient()))


def test_a_grid_has_the_rows_it_needs_and_leaves_the_rest_empty():
    figure = show_images([gradient()] * 5, list("abcde"), columns=3, suptitle="letters")
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 1, 1, 0]
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", "d", "e", ""]


def test_a_map_takes_the_proportions_of_the_picture_beside_it():
    figure = show_images([np.eye(7), gradient(300, 100), gradient(300, 100)])
    figure.draw_without_rendering()
    boxes = [axes.get_window_extent() for axes in figure.axes]
    for box in boxes:
        assert box.width / box.height == pytest.approx(3, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "pictures: got none, expected at least one"),
        (([gradient()], ["a", "b"]), "titles: got 2, expected 1"),
    ],
)
def test_no_pictures_or_too_many_titles_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        show_images(*arguments)


def test_a_figure_is_a_png_and_closes_over_nothing():
    figure = show_cam(gradient(), np.eye(3))
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figure._repr_png_() == figure._repr_png_()


def test_pyplot_keeps_no_figure():
    show_cam(gradient(), np.eye(2))
    assert Gcf.get_all_fig_managers() == []


def test_a_strip_does_not_fill_the_memory():
    figure = show_images([Image.new("RGB", (10, 10000))])
    assert figure.get_figheight() <= 8.5 * figure.get_figwidth()
    with pytest.raises(ValueError, match=r"^width: got -1, expected inches"):
        show_images([Image.new("RGB", (8, 8))], width=-1)
