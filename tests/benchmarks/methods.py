"""The networks and the four libraries of the benchmarks, each used as its documentation says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM as PytorchGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor
from torchcam.methods import GradCAM as TorchCAM

from camutils import Classifier, grad_cam, load_classifier

Run = Callable[[Tensor, list[int]], list]

# Architectures whose weights do not come with the install run untrained: the work is the same.
NETWORKS = {
    "vgg19": "random",
    "densenet201": "random",
    "resnet50": "random",
    "efficientnet_lite0": "embedded",
}
PEERS = ("captum", "torchcam", "pytorch-grad-cam")


def network(name: str) -> Classifier:
    """One of `NETWORKS`, in eval mode."""
    return load_classifier(name, NETWORKS[name])


@contextmanager
def prepared(method: str, classifier: Classifier) -> Iterator[Run]:
    """A method made ready on a network: what is timed is only the call of what it yields.

    The yielded function takes pictures (N, C, H, W) and K classes, the same for every picture, and
    returns what the library gives, one entry per class (camutils: one `CamResult` for all).
    """
    model, layer = classifier.model, classifier.target_layer
    module = model.get_submodule(layer)
    if method == "forward":
        with torch.inference_mode():
            yield lambda x, classes: [model(x)]
    elif method == "camutils":
        yield lambda x, classes: [grad_cam(model, layer, x, classes)]
    elif method == "captum":
        explainer = LayerGradCam(model, module)
        yield lambda x, classes: [
            # Detached: five maps would otherwise hold the graphs of five forward passes.
            explainer.attribute(x, target, relu_attributions=True).detach()
            for target in classes
        ]
    elif method == "torchcam":
        with TorchCAM(model, layer) as extractor:

            def run(x: Tensor, classes: list[int]) -> list:
                scores = model(x)  # One forward pass for all classes, one backward pass for each.
                last = len(classes) - 1
                return [
                    extractor(target, scores, retain_graph=i < last)[0]
                    for i, target in enumerate(classes)
                ]

            yield run
    elif method == "pytorch-grad-cam":
        with PytorchGradCAM(model=model, target_layers=[module]) as cam:
            yield lambda x, classes: [
                cam(input_tensor=x, targets=[ClassifierOutputTarget(target)] * len(x))
                for target in classes
            ]
        model.zero_grad(set_to_none=True)  # It leaves gradients on the parameters.
    else:
        raise ValueError(f"method: got {method!r}.")


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, the first column aligned left, the others right."""
    marks = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, marks, *rows])
