"""What every cell of a picture adds to every class, in a network that ends in GAP and a head."""

import torch
from torch import Tensor

from camutils import Classifier, class_activation_map


def cell_evidence(classifier: Classifier, x: Tensor) -> Tensor:
    """(1000, 7, 7): the CAM of every class for one prepared picture (3, 224, 224)."""
    with torch.inference_mode():
        features = classifier.model.get_submodule(classifier.target_layer)(x[None])
        weight = classifier.model.classifier[-1].weight
        return class_activation_map(features, weight, list(range(len(weight))))[0]
