"""Composes the scenes of `recipes.json` anew: `python data/scenes/prepare.py`."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from camutils import data_path
from camutils.data import whole_file
from course.scenes import scene_from_recipe


def main() -> None:
    """Write every scene of the recipes, with one mask for each item, into `data/scenes`."""
    recipes = json.loads(data_path("scenes", "recipes.json").read_text("utf-8"))["scenes"]
    for name, recipe in recipes.items():
        scene, masks = scene_from_recipe(recipe)
        with whole_file(data_path("scenes", f"{name}.jpg")) as path:
            scene.save(path, quality=92)
        for key in dict.fromkeys(item["cutout"] for item in recipe["items"]):
            mask = np.any(
                [
                    m
                    for m, item in zip(masks, recipe["items"], strict=True)
                    if item["cutout"] == key
                ],
                axis=0,
            )
            file = f"{name}_{Path(key).stem}_mask.png"
            with whole_file(data_path("scenes", file)) as path:
                Image.fromarray(mask.astype(np.uint8) * 255).save(path)
        print(f"data/scenes/{name}.jpg and its masks")


if __name__ == "__main__":
    main()
