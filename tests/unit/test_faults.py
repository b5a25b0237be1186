"""Every fault ends in the documented error: the argument, what came, what was expected."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from camutils import (
    GAPClassifier,
    ImageError,
    WeightsError,
    class_activation_map,
    crop_box,
    data_path,
    extract_features,
    fit_head,
    grad_cam,
    image_folder,
    load_classifier,
    load_image,
    load_vgg16_features,
    normalize_map,
    overlay,
    scene_path,
)
from camutils.download import download_original
from camutils.models import download_weights

pytestmark = pytest.mark.filterwarnings("error")
NAN, INF = float("nan"), float("inf")
GREY = Image.new("RGB", (8, 6), "grey")
X = torch.zeros(2, 3, 8, 8)
FEATURES, WEIGHT = torch.ones(2, 4, 3, 3), torch.ones(5, 4)
LABELS = torch.tensor([0, 1])
STACK = nn.Conv2d(3, 4, 3)


class Gives(nn.Module):
    """Gives what a function makes of its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def net(*after, head=None):
    """Convolution → what is asked for → GAP → linear, in eval mode."""
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)] if head is None else [head]
    return nn.Sequential(nn.Conv2d(3, 4, 3), *after, *tail).eval()


def cam_of(layer="0", x=X, classes=None, model=None):
    return lambda: grad_cam(net() if model is None else model, layer, x, classes)


def cam(features=FEATURES, weight=WEIGHT, classes=0):
    return lambda: class_activation_map(features, weight, classes)


def laid(image=GREY, heatmap=None, alpha=0.4, colormap="viridis"):
    return lambda: overlay(image, np.eye(2) if heatmap is None else heatmap, alpha, colormap)


def features_of(*batches, stack=STACK):
    return lambda: extract_features(stack, batches, progress=False)


def fit(activations=FEATURES, labels=(0, 1), **options):
    labels = torch.tensor(labels) if isinstance(labels, tuple) else labels
    return lambda: fit_head(activations, labels, **{"epochs": 1, **options})


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


def with_nan(tensor):
    tensor = tensor.clone()
    tensor.view(-1)[0] = NAN
    return tensor


def with_spare(model):
    """The model with one module more, which never runs."""
    model = Gives(model)
    model.spare = nn.Identity()
    return model.eval()


def half_trained():
    model = net(nn.Dropout())
    model[1].train()
    return model


def complex_net():
    return net(Gives(lambda x: x.to(torch.complex64)), head=Gives(lambda x: x.real.mean((2, 3))))


# call, error, argument, what came, what was expected
FAULTS = {
    # load_image and crop_box; test_images has the files.
    "image path None": (lambda: load_image(None), TypeError, "path", "NoneType", "file name"),
    "image path bytes": (lambda: load_image(b"a.png"), TypeError, "path", "bytes", "file name"),
    "image path number": (lambda: load_image(3), TypeError, "path", "int", "file name"),
    "image missing": (lambda: load_image("no.png"), ImageError, "path", "'no.png'", "picture file"),
    "image folder": (lambda: load_image("."), ImageError, "path", "a folder", "picture file"),
    "image empty name": (lambda: load_image(""), ImageError, "path", "''", "picture file"),
    "image null byte": (lambda: load_image("a\0b"), ImageError, "path", "null", "picture file"),
    "image is code": (lambda: load_image(__file__), ImageError, "path", "identify", "picture file"),
    "image folder missing": (lambda: image_folder("no"), ValueError, "root", "no,", "folder of"),
    "crop map": (lambda: crop_box(FEATURES, (8, 8)), ValueError, "heatmap", "4, 3, 3)", "(h, w)"),
    "crop negative": (lambda: crop_box(-np.eye(2), (8, 8)), ValueError, "heatmap", "-1", "from 0"),
    "crop NaN": (lambda: crop_box([[NAN]], (8, 8)), ValueError, "heatmap", "nan", "from 0"),
    "crop inf": (lambda: crop_box([[INF]], (8, 8)), ValueError, "heatmap", "inf", "from 0"),
    "crop text": (lambda: crop_box("map", (8, 8)), TypeError, "heatmap", "str", "(h, w)"),
    "crop size": (lambda: crop_box(np.eye(2), (0, 8)), ValueError, "size", "(0, 8)", "least 1"),
    "crop size None": (lambda: crop_box(np.eye(2), None), ValueError, "size", "None", "(width"),
    "crop size three": (lambda: crop_box(np.eye(2), (1, 2, 3)), ValueError, "size", "3", "(width"),
    "crop share text": (
        lambda: crop_box(np.eye(2), (8, 8), "1"), ValueError, "threshold", "'1'", "(0, 1]",
    ),
    "crop share": (lambda: crop_box(np.eye(2), (8, 8), 0), ValueError, "threshold", "0", "(0, 1]"),
    "crop margin": (lambda: crop_box(np.eye(2), (8, 8), 1, -1), ValueError, "margin", "-1", "0"),
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
    # grad_cam: model
    "model None": (lambda: grad_cam(None, "0", X), TypeError, "model", "NoneType", "nn.Module"),
    "model function": (lambda: grad_cam(abs, "0", X), TypeError, "model", "builtin", "nn.Module"),
    "model is a Classifier": (
        lambda: grad_cam(SimpleNamespace(), "0", X), TypeError, "model", "Simple", "nn.Module",
    ),
    "model trains": (cam_of(model=net().train()), ValueError, "model", "train mode", "eval()"),
    "model partly trains": (
        cam_of(model=half_trained()), ValueError, "model", "train mode", "eval()",
    ),
    "model gives maps": (
        cam_of(model=net(head=nn.Identity())), ValueError, "model", "(2, 4, 6, 6)", "(N, n_classes",
    ),
    "model gives a tuple": (
        cam_of(model=net(head=Gives(lambda x: (x, x)))), ValueError, "model", "tuple", "logits",
    ),
    "model gives one row": (
        cam_of(model=net(head=Gives(lambda x: x.mean((2, 3))[:1]))),
        ValueError, "model", "(1, 4)", "N = 2",
    ),
    "model gives no classes": (
        cam_of(model=net(head=Gives(lambda x: x.mean((2, 3))[:, :0]))),
        ValueError, "model", "(2, 0)", "logits (N, n_classes)",
    ),
    "model gives truth values": (
        cam_of(model=net(head=Gives(lambda x: x.mean((2, 3)) > 0))),
        ValueError, "model", "torch.bool", "floating logits",
    ),
    "model indexes beyond": (
        cam_of(model=net(head=Gives(lambda x: x[:, 99]))),
        RuntimeError, "x", "(2, 3, 8, 8)", "can run on: index 99",
    ),
    "model gives NaN": (
        cam_of(model=net(head=Gives(lambda x: x.mean((2, 3)) * NAN))),
        ValueError, "model", "NaN", "finite",
    ),
    # grad_cam: layer
    "layer unknown": (cam_of("features.29"), ValueError, "layer", "'features.29'", "of the model:"),
    "layer near": (
        cam_of("3 "), ValueError, "layer", "'3 '", "module of the model: 3",
    ),
    "x single": (cam_of(x=torch.rand(3, 8, 8)), ValueError, "x", "(3, 8, 8)", "batch of one"),
    "layer far off": (cam_of("layer4"), ValueError, "layer", "'layer4'", "of the model: 0, "),
    "layer empty": (cam_of(""), ValueError, "layer", "''", "module of the model"),
    "layer None": (cam_of(None), TypeError, "layer", "NoneType", "or its name"),
    "layer number": (cam_of(0), TypeError, "layer", "int", "or its name"),
    "layer list": (cam_of(["0"]), TypeError, "layer", "list", "or its name"),
    "layer of another": (cam_of(nn.ReLU()), ValueError, "layer", "ReLU", "module of the model"),
    "layer gives vectors": (cam_of("3"), ValueError, "layer", "(2, 5)", "(N, C, h, w)"),
    "layer gives a tuple": (
        cam_of("1", model=net(Gives(lambda x: (x,)), Gives(lambda x: x[0]))),
        ValueError, "layer", "tuple", "(N, C, h, w)",
    ),
    "layer gives integers": (
        cam_of("1", model=net(Gives(lambda x: x.long()), Gives(lambda x: x.float()))),
        ValueError, "layer", "torch.int64", "floating",
    ),
    "layer gives complex": (
        cam_of("1", model=complex_net()), ValueError, "layer", "complex64", "floating",
    ),
    "layer channels last": (
        cam_of("1", model=net(Gives(lambda x: x.permute(0, 2, 3, 1).repeat(1, 1, 1, 9)),
                              Gives(lambda x: x.permute(0, 3, 1, 2)[:, :4]))),
        ValueError, "layer", "channels last", "(N, C, h, w)",
    ),
    "layer does not run": (
        cam_of("spare", model=with_spare(net())), ValueError, "layer", "'spare'", "did not run",
    ),
    "layer leads nowhere": (
        cam_of("1", model=net(Gives(lambda x: x + 1), Gives(lambda x: torch.ones_like(x)))),
        ValueError, "layer", "'1'", "does not depend",
    ),
    "layer is cut off": (
        cam_of("1", model=net(Gives(lambda x: x + 1), Gives(lambda x: x.detach()))),
        ValueError, "layer", "'1'", "does not depend",
    ),
    # grad_cam: x
    "x None": (cam_of(x=None), TypeError, "x", "NoneType", "tensor (N, C, H, W)"),
    "x array": (cam_of(x=X.numpy()), TypeError, "x", "ndarray", "tensor (N, C, H, W)"),
    "x picture": (cam_of(x=GREY), TypeError, "x", "Image", "tensor (N, C, H, W)"),
    "x without batch": (cam_of(x=X[0]), ValueError, "x", "(3, 8, 8)", "(N, C, H, W)"),
    "x five dimensions": (cam_of(x=X[None]), ValueError, "x", "(1, 2, 3, 8, 8)", "(N, C, H, W)"),
    "x empty batch": (cam_of(x=X[:0]), ValueError, "x", "(0, 3, 8, 8)", "(N, C, H, W)"),
    "x bytes": (cam_of(x=X.byte()), ValueError, "x", "uint8", "floating"),
    "x NaN": (cam_of(x=with_nan(X)), ValueError, "x", "NaN", "finite"),
    "x inf": (cam_of(x=X + INF), ValueError, "x", "inf", "finite"),
    "x double": (cam_of(x=X.double()), ValueError, "x", "float64", "float32"),
    "x half": (cam_of(x=X.half()), ValueError, "x", "float16", "float32"),
    "x elsewhere": (cam_of(model=net().to("meta")), ValueError, "x", "cpu", "meta"),
    "x channels": (cam_of(x=X[:, :1]), RuntimeError, "x", "(2, 1, 8, 8)", "3 channels"),
    "x too small": (cam_of(x=X[..., :2, :2]), RuntimeError, "x", "(2, 3, 2, 2)", "Kernel size"),
    # Classes, for both kinds of map
    "classes negative": (cam_of(classes=-1), ValueError, "classes", "-1", "0 to 4"),
    "classes beyond": (cam_of(classes=5), ValueError, "classes", "5", "0 to 4"),
    "classes huge": (cam_of(classes=10**30), ValueError, "classes", "10000", "0 to 4"),
    "classes beyond in a list": (cam_of(classes=[0, 7]), ValueError, "classes", "7", "0 to 4"),
    "classes beyond in a tensor": (
        cam_of(classes=torch.tensor([[0], [9]])), ValueError, "classes", "9", "0 to 4",
    ),
    "classes beyond every int": (
        cam_of(classes=np.array([[2**64 - 1], [0]], np.uint64)), ValueError, "classes", "", "0 to",
    ),
    "classes bool": (cam_of(classes=True), TypeError, "classes", "True", "an int"),
    "classes float": (cam_of(classes=1.0), TypeError, "classes", "1.0", "an int"),
    "classes text": (cam_of(classes="cat"), TypeError, "classes", "'cat'", "an int"),
    "classes dict": (cam_of(classes={1: 2}), TypeError, "classes", "{1: 2}", "an int"),
    "classes set": (cam_of(classes={1}), TypeError, "classes", "{1}", "an int"),
    "classes bool in a list": (cam_of(classes=[0, False]), TypeError, "classes", "False", "an int"),
    "classes nested": (cam_of(classes=[[0], [1]]), TypeError, "classes", "[0]", "an int"),
    "classes empty": (cam_of(classes=[]), ValueError, "classes", "(2, 0)", "K >= 1"),
    "classes vector": (
        cam_of(classes=torch.tensor([0, 1])), ValueError, "classes", "one-dim", "(N, 1)",
    ),
    "classes array vector": (
        cam_of(classes=np.array([0, 1])), ValueError, "classes", "one-dim", "a list (these",
    ),
    "classes rows": (
        cam_of(classes=torch.zeros(3, 1, dtype=torch.long)), ValueError, "classes", "(3, 1)", "= 2",
    ),
    "classes three dimensions": (
        cam_of(classes=torch.zeros(2, 1, 1).long()), ValueError, "classes", "(2, 1, 1)", "(N, K)",
    ),
    "classes float tensor": (
        cam_of(classes=torch.zeros(2, 1)), TypeError, "classes", "float32", "whole",
    ),
    "classes bool tensor": (
        cam_of(classes=torch.zeros(2, 1).bool()), TypeError, "classes", "bool", "whole",
    ),
    "classes object array": (
        cam_of(classes=np.array([[None], [1]])), TypeError, "classes", "object", "whole",
    ),
    "classes text array": (
        cam_of(classes=np.array([["a"], ["b"]])), TypeError, "classes", "<U1", "whole",
    ),
    # class_activation_map
    "features None": (cam(features=None), TypeError, "features", "NoneType", "(N, C, h, w)"),
    "features pooled": (cam(FEATURES.mean((2, 3))), ValueError, "features", "(2, 4)", "C, h, w)"),
    "features empty": (cam(FEATURES[:0]), ValueError, "features", "(0, 4, 3, 3)", "(N, C, h, w)"),
    "features integers": (cam(FEATURES.long()), ValueError, "features", "int64", "floating"),
    "features NaN": (cam(with_nan(FEATURES)), ValueError, "features", "NaN", "finite"),
    "weight list": (cam(weight=[[1.0]]), TypeError, "weight", "list", "(n_classes, C)"),
    "weight layer": (cam(weight=nn.Linear(4, 5)), TypeError, "weight", "Linear", "(n_classes, C)"),
    "weight vector": (cam(weight=WEIGHT[0]), ValueError, "weight", "(4,)", "(n_classes, C)"),
    "weight of VGG16": (
        cam(weight=torch.ones(5, 4096)), ValueError, "weight", "4096", "global average pooling",
    ),
    "weight inf": (cam(weight=WEIGHT * INF), ValueError, "weight", "inf", "finite"),
    "weight double": (cam(weight=WEIGHT.double()), ValueError, "weight", "float64", "float32"),
    "cam classes None": (cam(classes=None), TypeError, "classes", "None", "an int"),
    "cam classes beyond": (cam(classes=[5]), ValueError, "classes", "5", "0 to 4"),
    # normalize_map
    "map None": (lambda: normalize_map(None), TypeError, "map", "NoneType", "tensor or an array"),
    "map list": (lambda: normalize_map([[1]]), TypeError, "map", "list", "tensor or an array"),
    "map NaN": (lambda: normalize_map(np.array([[NAN]])), ValueError, "map", "NaN", "finite"),
    "map inf": (lambda: normalize_map(FEATURES * INF), ValueError, "map", "inf", "finite"),
    "map vector": (lambda: normalize_map(np.ones(3)), ValueError, "map", "(3,)", "(..., h, w)"),
    "map empty": (lambda: normalize_map(FEATURES[:0]), ValueError, "map", "(0, ", "(..., h, w)"),
    "map complex": (lambda: normalize_map(np.eye(2) * 1j), TypeError, "map", "complex", "real"),
    "map text": (lambda: normalize_map(np.array([["a"]])), TypeError, "map", "<U1", "real"),
    "map objects": (lambda: normalize_map(np.array([[None]])), TypeError, "map", "object", "real"),
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
    # extract_features, GAPClassifier
    "stack None": (features_of(stack=None), TypeError, "features", "NoneType", "nn.Module"),
    "loader empty": (features_of(), ValueError, "loader", "no batches", "at least one"),
    "loader no pairs": (features_of(X), ValueError, "loader", "Tensor", "(pictures, labels)"),
    "loader triples": (features_of((X, X, X)), ValueError, "loader", "tuple", "(pictures, labels)"),
    "loader pictures": (features_of((X[0], LABELS)), ValueError, "loader", "(3, 8, 8)", "(N, C, H"),
    "loader lists": (features_of(([GREY], LABELS)), TypeError, "loader", "list", "(N, C, H, W)"),
    "loader labels": (features_of((X, LABELS[:1])), ValueError, "loader", "1 labels", "2, one"),
    "loader float labels": (features_of((X, LABELS / 2)), TypeError, "loader", "float32", "whole"),
    "loader text labels": (features_of((X, ["a", "b"])), TypeError, "loader", "list", "labels"),
    "loader negative labels": (
        features_of((X, LABELS - 1)), ValueError, "loader", "labels", "from 0 on",
    ),
    "loader NaN": (features_of((X + NAN, LABELS)), ValueError, "loader", "NaN", "finite"),
    "loader sizes": (
        features_of((X, LABELS), (X[..., :6, :6], LABELS)),
        ValueError, "loader", "several sizes", "one size",
    ),
    "loader channels": (
        features_of((X[:, :1], LABELS)), RuntimeError, "loader", "(2, 1, 8, 8)", "3 channels",
    ),
    "stack gives NaN": (
        features_of((X, LABELS), stack=Gives(lambda x: x * NAN)),
        ValueError, "features", "NaN", "finite",
    ),
    "stack too deep": (
        lambda: GAPClassifier(nn.Conv2d(3, 4, 65), 2),
        RuntimeError, "features", "(1, 3, 64, 64)", "can run on",
    ),
    "stack gives vectors": (
        features_of((X, LABELS), stack=net()),
        ValueError, "features", "(2, 5)", "(N, C, h, w)",
    ),
    "GAP of no module": (lambda: GAPClassifier(abs, 4), TypeError, "features", "builtin", "Module"),
    "GAP of one class": (lambda: GAPClassifier(STACK, 1), ValueError, "n_classes", "1", "least 2"),
    "GAP of half one": (lambda: GAPClassifier(STACK, 2.5), TypeError, "n_classes", "2.5", "whole"),
    # fit_head
    "activations None": (fit(None), TypeError, "activations", "NoneType", "(N, C, h, w)"),
    "activations pooled": (
        fit(FEATURES.mean((2, 3))), ValueError, "activations", "(2, 4)", "(N, C, h, w)",
    ),
    "activations NaN": (fit(with_nan(FEATURES)), ValueError, "activations", "NaN", "finite"),
    "activations integers": (fit(FEATURES.long()), ValueError, "activations", "int64", "floating"),
    "labels list": (fit(labels=[0, 1]), TypeError, "labels", "list", "tensor of labels"),
    "labels floats": (fit(labels=(0.0, 1.0)), TypeError, "labels", "float32", "whole"),
    "labels count": (fit(labels=(0, 1, 0)), ValueError, "labels", "3", "2, one for each"),
    "labels one-hot": (fit(labels=((0, 1), (1, 0))), ValueError, "labels", "(2, 2)", "(N,)"),
    "labels negative": (fit(labels=(-1, 0)), ValueError, "labels", "", "from 0 on"),
    "labels beyond": (fit(labels=(0, 4), n_classes=3), ValueError, "labels", "4", "0 to 2"),
    "labels one class": (fit(labels=(0, 0)), ValueError, "n_classes", "1", "at least 2"),
    "n_classes text": (fit(n_classes="4"), TypeError, "n_classes", "'4'", "whole"),
    "epochs none": (fit(epochs=0), ValueError, "epochs", "0", "at least 1"),
    "epochs half": (fit(epochs=1.5), TypeError, "epochs", "1.5", "whole"),
    "lr zero": (fit(lr=0), ValueError, "lr", "0", "above 0"),
    "lr NaN": (fit(lr=NAN), ValueError, "lr", "nan", "above 0"),
    "lr text": (fit(lr="0.1"), ValueError, "lr", "'0.1'", "a number"),
    "decay negative": (fit(weight_decay=-1), ValueError, "weight_decay", "-1", "at least 0"),
    "decay inf": (fit(weight_decay=INF), ValueError, "weight_decay", "inf", "at least 0"),
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


def test_the_table_is_long_enough():
    assert len(FAULTS) >= 60


def test_no_public_error_is_a_bare_lookup_error():
    for error in (ImageError, WeightsError):
        assert not issubclass(error, LookupError | AttributeError)
