"""Largest difference of our maps to each peer's: `python tests/benchmarks/exactness.py`.

Same weights, pictures and classes; both maps scaled to [0, 1] in the same way. captum and torchcam
give the map as it is, so both are scaled by `normalize_map`. pytorch-grad-cam gives it enlarged to
the picture and scaled, so ours goes through its own `scale_cam_image` twice, as its own map does.
"""

import argparse

import numpy as np
import torch
from methods import NETWORKS, PEERS, markdown, network, prepared
from pytorch_grad_cam.utils.image import scale_cam_image
from torch import Tensor

from camutils import Classifier, grad_cam, load_image, normalize_map
from course.scenes import scene_path

SCENES = ("elephants", "dolphin", "cat")


def pictures(classifier: Classifier) -> Tensor:
    """The scenes as the network takes them, (3, 3, 224, 224)."""
    return torch.stack([classifier.preprocess(load_image(scene_path(name))) for name in SCENES])


def differences(classifier: Classifier, peer: str, x: Tensor, classes: list[int]) -> np.ndarray:
    """(N, K): the largest difference of each normalised map to the peer's."""
    each = torch.tensor([classes] * len(x))
    ours = grad_cam(classifier.model, classifier.target_layer, x, each).maps
    with prepared(peer, classifier) as run:
        theirs = np.stack([np.asarray(torch.as_tensor(m).detach()) for m in run(x, classes)], 1)
    if peer == "pytorch-grad-cam":
        size = tuple(x.shape[:1:-1])
        low = ours.flatten(0, 1).numpy()
        expected = scale_cam_image(scale_cam_image(low, size)).reshape(theirs.shape)
    else:
        theirs = theirs.reshape(ours.shape)  # captum keeps the channel dimension, as one.
        theirs, expected = normalize_map(theirs), normalize_map(ours).numpy()
    return np.abs(theirs - expected).max((-2, -1))


def classes_with_maps(classifier: Classifier, x: Tensor, count: int) -> list[int]:
    """The classes of largest mean logit whose maps are not flat on any of the pictures."""
    with torch.inference_mode():
        ranked = classifier.model(x).mean(0).topk(100).indices.tolist()
    each = torch.tensor([ranked] * len(x))
    maps = grad_cam(classifier.model, classifier.target_layer, x, each).maps
    alive = (maps.amax((-2, -1)) > maps.amin((-2, -1))).all(0).tolist()
    return [index for index, shown in zip(ranked, alive, strict=True) if shown][:count]


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the smallest network only")
    options = parser.parse_args(arguments)
    rows = []
    for name in ["efficientnet_lite0"] if options.quick else NETWORKS:
        classifier = network(name)
        x = pictures(classifier)
        classes = classes_with_maps(classifier, x, 5)
        cells = [f"{differences(classifier, peer, x, classes).max():.1e}" for peer in PEERS]
        label = f"{name} ({NETWORKS[name]} weights), `{classifier.target_layer}`"
        rows.append([label, str(len(SCENES) * len(classes)), *cells])
    print("\n### Largest difference of our map, scaled to [0, 1], to each peer's\n")
    print(markdown(["network, target layer", "maps", *PEERS], rows))
    print(
        "\nDenseNet: torchvision applies an in-place ReLU to the output of `features.norm5`. "
        "torchcam and (on the CPU) pytorch-grad-cam keep a reference to that output, so what they "
        "weight is the activation after the ReLU, with the gradients of the one before it. "
        "camutils and captum keep the layer's own output."
    )


if __name__ == "__main__":
    main()
