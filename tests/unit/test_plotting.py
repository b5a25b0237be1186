"""Overlays are what their formula says; figures keep proportions and need no pyplot."""

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib._pylab_helpers import Gcf
from PIL import Image

from camutils import Figure, data_path, load_image, normalize_map, overlay, show_cam, show_images

pytestmark = pytest.mark.filterwarnings("error")
quickly = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def gradient(width=12, height=8):
    return Image.fromarray(np.indices((height, width)).sum(0).astype(np.uint8) * 12).convert("RGB")


OPACITIES = {"heat": lambda h: 3 * h**2 - 2 * h**3, "even": np.ones_like}


@pytest.mark.parametrize("opacity", OPACITIES)
@pytest.mark.parametrize("colormap", ["inferno", "jet"])
def test_an_overlay_is_the_weighted_mean_of_picture_and_colour(opacity, colormap):
    picture, heatmap = gradient(), np.random.default_rng(0).integers(0, 256, (8, 12)) / 255
    colour = matplotlib.colormaps[colormap](heatmap)[..., :3] * 255
    for alpha in (0.4, 1, np.float32(0.25)):
        share = alpha * OPACITIES[opacity](heatmap[..., None])
        expected = (1 - share) * np.asarray(picture).astype(float) + share * colour
        laid = np.asarray(overlay(picture, heatmap, alpha, colormap, opacity)).astype(float)
        assert np.abs(laid - expected).max() <= 2, alpha


def test_what_is_cold_stays_the_photograph_or_its_grey_copy():
    heatmap = np.zeros((8, 12))
    heatmap[:, 6:] = 1
    photograph = Image.new("RGB", (12, 8), (200, 100, 0))
    laid = np.asarray(overlay(photograph, heatmap))
    assert (laid[:, :6] == (200, 100, 0)).all()
    assert (laid[:, 6:] != (200, 100, 0)).all()
    grey = overlay(photograph, heatmap, grey=True)
    assert grey.getpixel((0, 0)) == (118, 118, 118)
    assert overlay(photograph, np.zeros((2, 2)), opacity="even").getpixel((0, 0))[2] < 10


@pytest.mark.parametrize("colormap", ["inferno", "viridis", "jet"])
@pytest.mark.parametrize("grey", [False, True])
def test_a_white_ground_stays_white_where_the_map_is_cold(colormap, grey):
    heat = np.linspace(0, 1, 1000)[None]
    laid = np.asarray(overlay(Image.new("RGB", (1000, 1), "white"), heat, 0.8, colormap, grey=grey))
    assert laid[0, heat[0] < 0.1].min() >= 250
    assert laid[0, heat[0] > 0.5].max(-1).min() < 250


def test_the_defaults_are_inferno_at_eight_tenths_by_heat():
    picture, heatmap = gradient(), np.eye(3)
    expected = overlay(picture, heatmap, alpha=0.8, colormap="inferno", opacity="heat", grey=False)
    assert overlay(picture, heatmap).tobytes() == expected.tobytes()


def test_the_heat_map_is_interpolated_to_the_pictures_own_size():
    heatmap = np.array([[0.0, 0.5, 1.0]])
    laid = overlay(Image.new("RGB", (90, 30)), heatmap, 1.0, "gray", "even")
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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tensors_of_every_precision_with_gradients_equal_the_array(dtype):
    picture, heatmap = gradient(), torch.eye(3, dtype=dtype, requires_grad=True)
    assert overlay(picture, heatmap).tobytes() == overlay(picture, np.eye(3)).tobytes()
    assert show_images([heatmap]).axes[0].images[0].get_array().tolist() == np.eye(3).tolist()


def test_values_beyond_the_range_by_rounding_are_taken():
    expected = overlay(gradient(), np.array([[0.0, 1.0]]))
    laid = overlay(gradient(), np.array([[-1e-7, 1 + 1e-7]]))
    assert laid.tobytes() == expected.tobytes()


def test_a_picture_of_16_bits_or_a_transparent_one_looks_as_load_image_gives_it():
    flat = np.zeros((2, 2))
    half = overlay(Image.fromarray(np.full((4, 4), 32896, np.uint16)), flat)
    assert half.getpixel((0, 0)) == (128, 128, 128)
    clear = overlay(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), flat)
    assert clear.getpixel((0, 0)) == (255, 255, 255)
    shown = show_images([Image.new("RGBA", (4, 4), (0, 0, 0, 0))]).axes[0].images[0].get_array()
    assert (shown == 255).all()


unit_maps = st.sampled_from([np.float16, np.float32, np.float64, np.bool_]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(0, 1, width=16) if dtype != np.bool_ else None,
    )
)
modes = ["1", "L", "P", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "I;16"]


@quickly
@given(
    st.sampled_from(modes),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    unit_maps,
    st.floats(0, 1),
    st.sampled_from(["heat", "even"]),
)
def test_an_overlay_has_the_pictures_size_whatever_its_mode(mode, size, heatmap, alpha, opacity):
    image = Image.new(mode, size)
    laid = overlay(image, heatmap, alpha, opacity=opacity)
    assert (laid.mode, laid.size) == ("RGB", size)
    assert image.mode == mode


@quickly
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))), unit_maps)
def test_an_overlay_of_no_opacity_is_the_picture_and_of_full_opacity_the_colours(pixels, heatmap):
    image = Image.fromarray(pixels)
    assert np.array_equal(np.asarray(overlay(image, heatmap, 0)), pixels)
    covered = overlay(Image.new("RGB", image.size), heatmap, 1, opacity="even")
    assert overlay(image, heatmap, 1, opacity="even").tobytes() == covered.tobytes()


@pytest.mark.parametrize(
    ("faulty", "error", "message"),
    [
        ({"image": "a.png"}, TypeError, "image .*str"),
        ({"heatmap": np.eye(2) * 2}, ValueError, "heatmap .*0 to 1.*normalize_map"),
        ({"heatmap": -np.eye(2)}, ValueError, "heatmap .*0 to 1"),
        ({"heatmap": [[0, np.nan]]}, ValueError, "heatmap .*finite"),
        ({"heatmap": torch.zeros(1, 1, 3, 3)}, ValueError, r"heatmap .*\(1, 1, 3, 3\).*\(h, w\)"),
        ({"alpha": 40}, ValueError, "alpha .*40"),
        ({"alpha": np.nan}, ValueError, "alpha .*nan"),
        ({"opacity": "odd"}, ValueError, "opacity .*'odd'"),
        ({"colormap": "jett"}, ValueError, "'jett'.*jet"),
    ],
)
def test_what_cannot_be_laid_is_named(faulty, error, message):
    for function in (overlay, show_cam):
        with pytest.raises(error, match=message):
            function(**{"image": gradient(), "heatmap": np.eye(2), **faulty})


def test_show_cam_shows_picture_cells_and_overlay():
    picture, heatmap = gradient(), normalize_map(np.arange(6.0).reshape(2, 3))
    figure = show_cam(picture, heatmap, "African elephant", alpha=0.3, colormap="jet")
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert np.array_equal(shown[0], np.asarray(picture))
    np.testing.assert_allclose(shown[1], heatmap, atol=1e-6)
    assert figure.axes[1].images[0].get_cmap().name == "jet"
    assert np.array_equal(shown[2], np.asarray(overlay(picture, heatmap, 0.3, "jet")))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["picture", "heat map, 2 x 3 cells", "overlay"]
    assert figure.get_suptitle() == "African elephant"


def test_cells_and_overlay_are_on_one_scale():
    for heatmap in (np.full((2, 2), 0.3), np.ones((2, 2))):
        assert show_cam(gradient(), heatmap).axes[1].images[0].get_clim() == (0, 1)


def test_a_hot_spot_of_a_map_larger_than_the_picture_is_not_lost():
    heatmap = np.zeros((1000, 1000))
    heatmap[300:340, 300:340] = 1
    assert np.asarray(overlay(Image.new("RGB", (10, 10)), heatmap)).max() > 0


def test_a_grey_picture_is_shown_grey_and_not_in_the_colours_of_a_map():
    shown = show_cam(gradient().convert("L"), np.eye(2)).axes[0].images[0].get_array()
    assert np.array_equal(shown, np.asarray(gradient()))


def test_a_grid_has_the_rows_it_needs_and_leaves_the_rest_empty():
    figure = show_images([gradient()] * 5, list("abcde"), columns=3, suptitle="letters")
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 1, 1, 0]
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", "d", "e", ""]


def proportions(figure):
    """Width by height of what each axes shows, as drawn."""
    figure.draw_without_rendering()
    boxes = [axes.get_window_extent() for axes in figure.axes if axes.images]
    return [box.width / box.height for box in boxes]


@pytest.mark.parametrize("columns", [None, 2])
def test_photographs_are_drawn_in_their_own_proportions(columns):
    wide, tall = gradient(300, 100), load_image(data_path("unseen", "multimeter1.webp"))
    drawn = proportions(show_images([wide, tall, gradient(40, 40)], columns=columns))
    assert drawn == pytest.approx([3, 188 / 320, 1], rel=0.02)


def test_a_map_takes_the_proportions_of_the_first_photograph():
    figure = show_images([np.eye(7), gradient(300, 100), gradient(100, 300)])
    assert proportions(figure) == pytest.approx([3, 3, 1 / 3], rel=0.02)
    assert proportions(show_images([np.ones((2, 5))])) == pytest.approx([2.5], rel=0.02)


@pytest.mark.parametrize("titles", [["a", "b"], "abc"])
def test_every_picture_needs_its_title(titles):
    with pytest.raises(ValueError, match=r"titles .*1"):
        show_images([gradient()], titles)


@pytest.mark.parametrize("columns", [2, 4])
def test_a_long_title_is_broken_and_stays_over_its_panel(columns):
    titles = ["as it is", "one line\nand another", "the same animal once more, without tusks", "a"]
    figure = show_images([gradient()] * 4, titles, columns=columns)
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    for axes, box in zip(figure.axes, boxes, strict=True):
        assert box.width < 1.05 * axes.get_window_extent().width
        assert not any(box.overlaps(other) for other in boxes if other is not box)
    shown = [axes.get_title() for axes in figure.axes]
    assert [" ".join(title.split()) for title in shown] == [" ".join(t.split()) for t in titles]
    assert shown[1] == titles[1]


def test_a_figure_is_a_png_that_pyplot_knows_nothing_of():
    figure = show_cam(gradient(), np.eye(3))
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figure._repr_png_() == figure._repr_png_()
    assert Gcf.get_all_fig_managers() == []


def test_a_strip_is_shown_smaller():
    figure = show_images([Image.new("RGB", (10, 10000))])
    assert figure.get_figheight() <= 1.5 * figure.get_figwidth()


def test_a_large_picture_is_shrunk_to_what_is_shown_before_it_is_drawn():
    figure = show_cam(Image.new("RGB", (4000, 3000), "red"), np.eye(7))
    for axes in figure.axes:
        assert max(axes.images[0].get_array().shape) <= 1000
