"""Every fault ends in the documented error: the argument, what came, what was expected."""

import numpy as np
import pytest
import torch
from PIL import Image

from camutils import (
    ImageError,
    WeightsError,
    data_path,
    image_folder,
    load_classifier,
    load_image,
    load_vgg16_features,
    overlay,
    scene_path,
)
from camutils.download import download_original
from camutils.models import download_weights

pytestmark = pytest.mark.filterwarnings("error")
NAN = float("nan")
GREY = Image.new("RGB", (8, 6), "grey")
FEATURES = torch.ones(2, 4, 3, 3)


def laid(image=GREY, heatmap=None, alpha=0.4, colormap="viridis"):
    return lambda: overlay(image, np.eye(2) if heatmap is None else heatmap, alpha, colormap)


def env(variable, value, call):
    def run():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(variable, value)
            call()

    return run


def unreachable(call):
    """A call while no server can be reached and nothing is cached."""

    def refuse(*args, **kwargs):
        raise ConnectionRefusedError(111, "Connection refused")

    def run():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TORCH_HOME", "/dev/null/nowhere")
            patch.setattr("os.makedirs", lambda *args, **kwargs: None)
            patch.setattr("pathlib.Path.mkdir", lambda *args, **kwargs: None)
            patch.setattr("torch.hub.download_url_to_file", refuse)
            patch.setattr("urllib.request.urlopen", refuse)
            call()

    return run


# call, error, argument, what came, what was expected
FAULTS = {
    # load_image; test_images has the files.
    "image path None": (lambda: load_image(None), TypeError, "path", "NoneType", "file name"),
    "image path bytes": (lambda: load_image(b"a.png"), TypeError, "path", "bytes", "file name"),
    "image path number": (lambda: load_image(3), TypeError, "path", "int", "file name"),
    "image missing": (lambda: load_image("no.png"), ImageError, "path", "'no.png'", "picture file"),
    "image folder": (lambda: load_image("."), ImageError, "path", "a folder", "picture file"),
    "image empty name": (lambda: load_image(""), ImageError, "path", "''", "picture file"),
    "image null byte": (lambda: load_image("a\0b"), ImageError, "path", "null", "picture file"),
    "image is code": (lambda: load_image(__file__), ImageError, "path", "identify", "picture file"),
    "image folder missing": (lambda: image_folder("no"), ValueError, "root", "no,", "folder of"),
    # load_classifier
    "name unknown": (
        lambda: load_classifier("vgg91"), ValueError, "name", "'vgg91'", "near ones: vgg19",
    ),
    "name far off": (lambda: load_classifier("?"), ValueError, "name", "'?'", "near ones: eff"),
    "name empty": (lambda: load_classifier(""), ValueError, "name", "''", "near ones"),
    "name None": (lambda: load_classifier(None), TypeError, "name", "NoneType", "network's name"),
    "name list": (lambda: load_classifier(["a"]), TypeError, "name", "list", "network's name"),
    "name vit": (
        lambda: load_classifier("vit_b_16"), ValueError, "name", "vit_b_16", "a convolutional net",
    ),
    "name swin": (
        lambda: load_classifier("swin_t"), ValueError, "name", "swin_t", "a convolutional network",
    ),
    "name maxvit": (
        lambda: load_classifier("maxvit_t", "random"), ValueError, "name", "maxvit_t", "expected",
    ),
    "name detection": (
        lambda: load_classifier("fasterrcnn_resnet50_fpn"), ValueError, "name", "rcnn", "near ones",
    ),
    "weights unknown": (
        lambda: load_classifier("vgg19", "best"), ValueError, "weights", "'best'", "pretrained",
    ),
    "weights case": (
        lambda: load_classifier("vgg19", "Auto"), ValueError, "weights", "'Auto'", "auto, ",
    ),
    "weights number": (lambda: load_classifier("vgg19", 0), ValueError, "weights", "0", "auto, "),
    "weights list": (lambda: load_classifier("vgg19", []), ValueError, "weights", "[]", "auto, "),
    "weights offline": (
        unreachable(lambda: load_classifier("squeezenet1_1", "pretrained")),
        WeightsError, "name", "squeezenet1_1", "weights='embedded'",
    ),
    "features weights": (
        lambda: load_vgg16_features("auto"), ValueError, "weights", "'auto'", "IMAGENET1K_V1",
    ),
    "features offline": (
        unreachable(lambda: load_vgg16_features("IMAGENET1K_V1")),
        WeightsError, "name", "vgg16", "weights='embedded'",
    ),
    # The environment variables
    "variable weights": (
        env("CAMUTILS_WEIGHTS", "best", lambda: load_classifier("vgg19")),
        ValueError, "CAMUTILS_WEIGHTS", "'best'", "expected one of auto",
    ),
    "variable data": (
        env("CAMUTILS_DATA", "/nowhere", lambda: data_path("scenes")),
        FileNotFoundError, "CAMUTILS_DATA", "/nowhere", "expected the data/ of a checkout",
    ),
    "variable data is a file": (
        env("CAMUTILS_DATA", __file__, lambda: load_vgg16_features()),
        FileNotFoundError, "CAMUTILS_DATA", "test_faults.py", "expected the data/",
    ),
    "scene unknown": (lambda: scene_path("x"), FileNotFoundError, "name", "'x'", "elephants"),
    # The download
    "download unknown": (lambda: download_weights("vgg91"), ValueError, "name", "vgg91", "vgg19"),
    "download vit": (
        lambda: download_weights("vit_b_16"), ValueError, "name", "vit_b_16", "convolutional",
    ),
    "download None": (lambda: download_weights(None), TypeError, "name", "NoneType", "network's"),
    "download embedded": (
        lambda: download_weights("efficientnet_lite0"), ValueError, "name", "lite0", "embedded",
    ),
    "download offline": (
        unreachable(lambda: download_weights("vgg19")), WeightsError, "name", "refused", "embedded",
    ),
    "original unknown": (
        lambda: download_original("cats"), ValueError, "name", "'cats'", "elephants",
    ),
    # overlay
    "image array": (laid(np.zeros((4, 4, 3))), TypeError, "image", "ndarray", "PIL picture"),
    "image path": (laid("a.png"), TypeError, "image", "str", "PIL picture"),
    "image of nothing": (laid(Image.new("RGB", (0, 5))), ValueError, "image", "(0, 5)", "pixel"),
    "heatmap text": (laid(heatmap="map"), TypeError, "heatmap", "str", "(h, w)"),
    "heatmap objects": (laid(heatmap=[[None]]), TypeError, "heatmap", "list", "(h, w)"),
    "heatmap ragged": (laid(heatmap=[[1], [1, 0]]), TypeError, "heatmap", "list", "(h, w)"),
    "heatmap complex": (laid(heatmap=np.eye(2) * 1j), TypeError, "heatmap", "ndarray", "(h, w)"),
    "heatmap batch": (laid(heatmap=FEATURES), ValueError, "heatmap", "(2, 4, 3, 3)", "(h, w)"),
    "heatmap empty": (laid(heatmap=np.ones((0, 3))), ValueError, "heatmap", "(0, 3)", "(h, w)"),
    "heatmap large": (laid(heatmap=np.eye(2) * 2), ValueError, "heatmap", "2", "normalize_map"),
    "heatmap huge": (laid(heatmap=[[1e300]]), ValueError, "heatmap", "1e+300", "0 to 1"),
    "heatmap negative": (laid(heatmap=-np.eye(2)), ValueError, "heatmap", "-1", "0 to 1"),
    "heatmap NaN": (laid(heatmap=[[NAN]]), ValueError, "heatmap", "nan", "0 to 1"),
    "heatmap partly NaN": (laid(heatmap=[[0, NAN, 1]]), ValueError, "heatmap", "nan", "0 to 1"),
    "alpha large": (laid(alpha=40), ValueError, "alpha", "40", "[0, 1]"),
    "alpha negative": (laid(alpha=-0.1), ValueError, "alpha", "-0.1", "[0, 1]"),
    "alpha NaN": (laid(alpha=NAN), ValueError, "alpha", "nan", "[0, 1]"),
    "alpha text": (laid(alpha="0.4"), ValueError, "alpha", "'0.4'", "[0, 1]"),
    "alpha None": (laid(alpha=None), ValueError, "alpha", "None", "[0, 1]"),
    "colormap unknown": (laid(colormap="jett"), ValueError, "colormap", "'jett'", "jet"),
    "colormap None": (laid(colormap=None), ValueError, "colormap", "None", "matplotlib"),
    "colormap list": (laid(colormap=["jet"]), ValueError, "colormap", "['jet']", "matplotlib"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_what_came_and_what_was_expected(fault):
    call, error, argument, came, expected = FAULTS[fault]
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is error
    assert message.startswith(argument)
    rest = message.removeprefix(argument)
    assert came in rest
    assert expected in rest


def test_no_public_error_is_a_bare_lookup_error():
    for error in (ImageError, WeightsError):
        assert not issubclass(error, LookupError | AttributeError)
