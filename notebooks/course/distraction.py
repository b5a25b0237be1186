"""A second animal that takes a network's answer away from the first, for notebook 03.

`data/scenes/search.py` has tried all pairs of our photographs.
"""

import json
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from camutils import Classifier, crop_box, data_path, load_image

from .photographs import Photograph
from .scenes import compose_scene

WIDTH = 768  # No scene is wider, so that a cut-out of 512 pixels need not be enlarged.
RESULT = ("scenes", "distraction_search.json")
GREY = (124, 116, 104)  # ImageNet's mean, which preprocessing makes zero.
FILLS = ("grey", "mean colour", "shuffled")  # Of silhouettes.


class Outcome(NamedTuple):
    """What a network says of a scene with two animals."""

    answer: int  #: its first answer, from 0 to 999
    is_wrong: bool  #: the first animal is not its first answer
    is_mended: bool  #: but it is in the crop that the map of its own class proposes
    wrong_silhouettes: tuple[str, ...]  #: with which of `silhouettes` it is wrong as well


def background(host: Photograph) -> Image.Image:
    """The photograph of the first animal, at most `WIDTH` pixels wide."""
    image = load_image(host.path)
    if image.width <= WIDTH:
        return image
    height = round(image.height * WIDTH / image.width)
    return image.resize((WIDTH, height), Image.Resampling.LANCZOS)


def silhouettes(scene: Image.Image, seen: np.ndarray) -> dict[str, Image.Image]:
    """The scene with a silhouette in place of an animal, so that a patch is left and no animal.

    Args:
        scene: a picture, not changed.
        seen: (height, width) bool, the animal.

    Returns:
        By the name of its filling in `FILLS`: ImageNet's mean grey, the animal's mean colour, its
        own pixels in random order (the same every time).
    """
    pixels = np.asarray(scene)
    own = pixels[seen]
    fills = (GREY, own.mean(0).round(), np.random.default_rng(0).permutation(own))
    filled = {}
    for name, fill in zip(FILLS, fills, strict=True):
        copy = pixels.copy()
        copy[seen] = fill
        filled[name] = Image.fromarray(copy)
    return filled


def judge(
    classifier: Classifier, image: Image.Image, items: list[dict[str, Any]], host: Photograph
) -> list[Outcome]:
    """What the classifier says of scenes with one item each; where it errs, of controls as well.

    These are the crop that the map of the first animal's class proposes, and the silhouettes.
    """
    scenes = [compose_scene(image, [item]) for item in items]
    answers = first_answers(classifier, [scene for scene, _ in scenes])
    outcomes = []
    for (scene, (seen,)), answer in zip(scenes, answers, strict=True):
        is_wrong = answer not in host.accepted
        is_mended = False
        wrong_silhouettes = ()
        if is_wrong:
            heat = classifier.grad_cam(scene, host.index).maps[0, 0]
            filled = silhouettes(scene, seen)
            crop = scene.crop(crop_box(heat, scene.size))
            of_crop, *of_filled = first_answers(classifier, [crop, *filled.values()])
            is_mended = of_crop in host.accepted
            pairs = zip(filled, of_filled, strict=True)
            wrong_silhouettes = tuple(name for name, one in pairs if one not in host.accepted)
        outcomes.append(Outcome(answer, is_wrong, is_mended, wrong_silhouettes))
    return outcomes


def first_answers(classifier: Classifier, images: list[Image.Image]) -> list[int]:
    """The index of the first answer to each picture."""
    answers = []
    for start in range(0, len(images), 32):
        x = torch.stack([classifier.preprocess(image) for image in images[start : start + 32]])
        with torch.inference_mode():
            answers += classifier.model(x).argmax(1).tolist()
    return answers


def read_search() -> list[dict[str, Any]]:
    """The stored result: one entry as of `search_pair` for each pair that has a place."""
    return json.loads(data_path(*RESULT).read_text("utf-8"))["pairs"]
