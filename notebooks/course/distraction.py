"""A second animal that takes a network's answer away from the first, for notebook 03.

`data/scenes/search.py` has tried all pairs of our photographs.
"""

import json
from typing import Any, NamedTuple

import torch
from PIL import Image

from camutils import Classifier, crop_box, data_path, load_image

from .photographs import Photograph
from .scenes import compose_scene

WIDTH = 768  # No scene is wider, so that a cut-out of 512 pixels need not be enlarged.
RESULT = ("scenes", "distraction_search.json")


class Outcome(NamedTuple):
    """What a network says of a scene with two animals."""

    answer: int  #: its first answer, from 0 to 999
    is_wrong: bool  #: the first animal is not its first answer
    is_mended: bool  #: but it is in the crop that the map of its own class proposes


def background(host: Photograph) -> Image.Image:
    """The photograph of the first animal, at most `WIDTH` pixels wide."""
    image = load_image(host.path)
    if image.width <= WIDTH:
        return image
    height = round(image.height * WIDTH / image.width)
    return image.resize((WIDTH, height), Image.Resampling.LANCZOS)


def judge(
    classifier: Classifier, image: Image.Image, items: list[dict[str, Any]], host: Photograph
) -> list[Outcome]:
    """What the classifier says of scenes with one item each, and of the crops where it errs."""
    scenes = [compose_scene(image, [item])[0] for item in items]
    answers = []
    for start in range(0, len(scenes), 32):
        x = torch.stack([classifier.preprocess(scene) for scene in scenes[start : start + 32]])
        with torch.inference_mode():
            answers += classifier.model(x).argmax(1).tolist()
    outcomes = []
    for scene, answer in zip(scenes, answers, strict=True):
        is_wrong, is_mended = answer not in host.accepted, False
        if is_wrong:
            heat = classifier.grad_cam(scene, host.index).maps[0, 0]
            crop = scene.crop(crop_box(heat, scene.size))
            is_mended = classifier.predict(crop, k=1)[0].index in host.accepted
        outcomes.append(Outcome(answer, is_wrong, is_mended))
    return outcomes


def read_search() -> list[dict[str, Any]]:
    """The stored result: one entry as of `search_pair` for each pair that has a place."""
    return json.loads(data_path(*RESULT).read_text("utf-8"))["pairs"]
