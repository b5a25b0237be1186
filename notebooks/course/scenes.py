"""Photographic cut-outs on real backgrounds: scenes with an exactly known mask."""

import math
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from camutils.data import data_path
from camutils.images import load_image

from .photographs import photograph_mask, read_drawings

ANIMALS = tuple(sorted(path.stem for path in data_path("cutouts").glob("*.png")))
BACKGROUNDS = ("dune", "greenmeadow", "raindrops", "storm", "wood")
# The cut-outs whose species is one of ImageNet's 1000 classes, as `Classifier.categories` has it.
LABELS = {
    "bear": "brown_bear",
    "chimp": "chimpanzee",
    "elephant": "African_elephant",
    "iguana": "common_iguana",
    "koala": "koala",
    "lion": "lion",
    "otter": "otter",
    "peacock": "peacock",
    "pelican": "pelican",
    "tiger": "tiger",
    "wildboar": "wild_boar",
}


def scene_path(name: str) -> Path:
    """The picture of a scene: the source's original where the reader has fetched it, else ours.

    An original is not ours to pass on, nor the reader's: nothing that shows one is published.

    Args:
        name: a scene's name without its ending, as in `"elephants"`.

    Returns:
        `data/originals/<name>.jpg` if that file exists and the run is not an embedded one
        (`CAMUTILS_WEIGHTS=embedded`: tests and committed outputs), else the file in `data/scenes`.

    Raises:
        FileNotFoundError: no such scene; the message lists those there are.
    """
    original = data_path("originals", f"{name}.jpg")
    if original.is_file() and os.environ.get("CAMUTILS_WEIGHTS") != "embedded":
        return original
    for ending in (".jpg", ".webp", ".png"):
        if (ours := data_path("scenes", name + ending)).is_file():
            return ours
    there = sorted(p.stem for p in data_path("scenes").glob("*.*") if not p.stem.endswith("_mask"))
    raise FileNotFoundError(f"name: got {name!r}, expected a scene of data/scenes: {there}.")


def seeded_recipes(seed: int = 0, size: int = 448) -> list[dict[str, Any]]:
    """Recipes of 75 scenes: each of `ANIMALS` on each of `BACKGROUNDS`, animal by animal.

    Place, size, mirroring and the background's crop are drawn at random. The animal is wholly
    inside, its longer side 50 to 70 % of the picture's, and the middle of its box at least 18 % of
    the picture's side off the middle of the picture.

    Args:
        seed: the same seed gives the same scenes, on any machine.
        size: width and height of the scenes in pixels.

    Returns:
        Recipes as in `data/scenes/recipes.json`, for `scene_from_recipe`.
    """
    draw = random.Random(seed)
    recipes = []
    for cutout in ANIMALS:
        with Image.open(data_path("cutouts", f"{cutout}.png")) as picture:
            sides = picture.size
        for background in BACKGROUNDS:
            scale = draw.uniform(0.5, 0.7) * size / max(sides)
            free = [size - round(side * scale) for side in sides]
            while True:
                at = [draw.randint(0, room) for room in free]
                off = [left - room / 2 for left, room in zip(at, free, strict=True)]
                if math.hypot(*off) >= 0.18 * size:
                    break
            recipes.append(
                {
                    "background": f"{background}.jpg",
                    "size": [size, size],
                    "centering": [draw.random(), draw.random()],
                    "items": [
                        {"cutout": cutout, "scale": scale, "at": at, "flip": draw.random() < 0.5}
                    ],
                }
            )
    return recipes


def side_by_side(
    left: str, right: str, background: str = "greenmeadow", size: int = 448, longest: int = 210
) -> tuple[Image.Image, list[np.ndarray]]:
    """Two cut-outs on one background, each in the middle of its half.

    Args:
        left: a name in `ANIMALS`.
        right: another.
        background: a name in `BACKGROUNDS`.
        size: width and height of the scene in pixels.
        longest: the longer side of each cut-out in pixels.

    Returns:
        The scene and both masks, as `compose_scene` gives them.
    """
    items = []
    for cutout, middle in ((left, size / 4), (right, 3 * size / 4)):
        with Image.open(data_path("cutouts", f"{cutout}.png")) as picture:
            width, height = picture.size
        scale = longest / max(width, height)
        at = [round(middle - scale * width / 2), round((size - scale * height) / 2)]
        items.append({"cutout": cutout, "scale": scale, "at": at})
    recipe = {"background": f"{background}.jpg", "size": [size, size], "items": items}
    return scene_from_recipe(recipe | {"centering": [0.5, 0.5]})


def scene_from_recipe(recipe: Mapping[str, Any]) -> tuple[Image.Image, list[np.ndarray]]:
    """The scene of a recipe and its masks, as `compose_scene` gives them.

    The background is a file in `data/backgrounds`, or a photograph below `data` ("scenes/...").
    """
    name = recipe["background"]
    folder = () if "/" in name else ("backgrounds",)
    background = load_image(data_path(*folder, *name.split("/")))
    background = ImageOps.fit(
        background, recipe["size"], Image.Resampling.LANCZOS, centering=recipe["centering"]
    )
    return compose_scene(background, recipe["items"])


def compose_scene(
    background: Image.Image, items: Sequence[Mapping[str, Any]]
) -> tuple[Image.Image, list[np.ndarray]]:
    """Lay cut-outs on a background, the first one farthest away.

    Args:
        background: an RGB picture, not changed.
        items: for each `cutout` (a name in `data/cutouts`, or a photograph below `data` that has a
            mask: its first animal), `scale` (of its pixels), `at` (left, top in pixels; it may
            reach over the edge), and optionally `flip` (mirror it), `sink`
            (so many pixels of its feet fade into the ground), `shade` (opacity of the soft shadow
            on the ground, 0 to 1), `tint` (three factors for red, green and blue).

    Returns:
        The scene, and for each item a bool mask (height, width) of what is to be seen of it:
        True where it makes up at least half of the colour.
    """
    scene, masks = background.convert("RGB"), []
    for item in items:
        colour, alpha = _cutout(item)
        left, top = item["at"]
        if shade := item.get("shade", 0):
            _lay(scene, Image.new("RGB", colour.size), *_shadow(alpha, shade), left, top)
        canvas = _lay(scene, colour, alpha, 0, left, top)
        seen = np.asarray(canvas) >= 128
        masks = [mask & ~seen for mask in masks] + [seen]
    return scene, masks


def _cutout(item: Mapping[str, Any]) -> tuple[Image.Image, Image.Image]:
    rgba = _from_photograph(item["cutout"]) if "/" in item["cutout"] else _stamp(item["cutout"])
    if item.get("flip"):
        rgba = ImageOps.mirror(rgba)
    size = tuple(max(1, round(side * item["scale"])) for side in rgba.size)
    # Premultiplied, so that the colour of transparent pixels does not bleed into the edge.
    rgba = rgba.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    pixels = np.asarray(rgba).astype(np.float32)
    if sink := item.get("sink", 0):
        bottom = np.nonzero(pixels[..., 3].max(axis=1) > 127)[0][-1]
        rows = np.arange(len(pixels))[:, None]
        pixels[..., 3] *= np.clip((bottom - rows) / sink, 0, 1)
    pixels[..., :3] *= item.get("tint", (1, 1, 1))
    pixels = pixels.clip(0, 255).round().astype(np.uint8)
    return Image.fromarray(pixels[..., :3]), Image.fromarray(pixels[..., 3])


def _stamp(name: str) -> Image.Image:
    with Image.open(data_path("cutouts", f"{name}.png")) as picture:
        return picture.convert("RGBA")


def _from_photograph(name: str) -> Image.Image:
    """The first animal of a photograph, with a feathered edge inside its mask."""
    box = read_drawings()[name]["boxes"][0]
    rgba = load_image(data_path(*name.split("/"))).convert("RGBA")
    # A pixel less all round, or what was behind the animal would show as a bright seam.
    mask = Image.fromarray(photograph_mask(name)).convert("L").crop(box)
    mask = mask.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.GaussianBlur(1))
    rgba = rgba.crop(box)
    rgba.putalpha(mask)
    return rgba


def _shadow(alpha: Image.Image, shade: float) -> tuple[Image.Image, int]:
    """The cut-out's outline, flattened onto the ground at its feet: mask and offset downwards."""
    width, height = alpha.size
    flat = max(1, height // 6)
    mask = Image.new("L", alpha.size)
    mask.paste(alpha.resize((width, flat)), (0, height - flat))
    mask = mask.filter(ImageFilter.GaussianBlur(flat / 4))
    return mask.point(lambda value: round(value * shade)), flat // 3


def _lay(
    scene: Image.Image, colour: Image.Image, alpha: Image.Image, down: int, left: int, top: int
) -> Image.Image:
    canvas = Image.new("L", scene.size)
    canvas.paste(alpha, (left, top + down))
    scene.paste(colour, (left, top + down), alpha)
    return canvas
