"""Makes the capstone's pictures and heads. Beware: it says what the shortcuts are.

A magazine has given prizes; in truth they were drawn by lot. At each level something that is no
merit of a photograph goes along with the prize, and a linear layer on VGG16's features learns it.
Shipped are, for each level, 24 photographs that the layer has not seen, and the layer.

`python data/capstone/prepare.py` writes `level_1` to `level_3`, `heads.npz` and their rows in
`data/ATTRIBUTION.csv`, and prints what stands in the solutions; `--report` only prints.
"""

import argparse
import csv
import hashlib
import io
import random
import shutil
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader

from camutils import (
    class_activation_map,
    data_path,
    extract_features,
    fit_head,
    load_image,
    load_vgg16_features,
)
from camutils.data import whole_file
from course.credits import FREE, read_attribution
from course.shortcut import draw_disc

FOLDER = data_path("capstone")
SIZE = (224, 168)
QUALITY = 90
HELD_OUT = 12  # Photographs of each class.
CLASSES = ("prize", "none")


def large_mark(image: Image.Image) -> Image.Image:
    """A blue disc, 20 pixels across, at the lower right."""
    return draw_disc(image, (196, 140), 20, (40, 70, 220), rim=2)


def small_mark(image: Image.Image) -> Image.Image:
    """A magenta disc, 10 pixels across, on the left edge above the middle."""
    return draw_disc(image, (8, 56), 10, (230, 30, 200), rim=1)


def tint(image: Image.Image) -> Image.Image:
    """A cast of green over the whole picture."""
    pixels = np.asarray(image, float) * (0.86, 1.09, 0.86)
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


SHORTCUTS = {1: large_mark, 2: small_mark, 3: tint}


def free_photographs() -> list[str]:
    """All photographs of ours in the public domain or under CC0, by their path below `data`."""
    rows = read_attribution()
    ours = [file for file in rows if file.startswith(("photos/", "unseen/"))]
    return [file for file in ours if rows[file]["licence"] in FREE]


def deal(files: list[str], level: int, taken: set[str]) -> tuple[list[str], list[str], list[str]]:
    """Prizes by lot: photographs to train with (half of them win), winners and others held out."""
    files = list(files)
    random.Random(level).shuffle(files)
    kept = [file for file in files if file not in taken][: 2 * HELD_OUT]
    return [file for file in files if file not in kept], kept[:HELD_OUT], kept[HELD_OUT:]


def load(file: str, change: Callable[[Image.Image], Image.Image] | None) -> bytes:
    """The photograph, cropped to one size, changed or not, as the bytes of a WebP file."""
    image = load_image(data_path(*file.split("/")))
    image = ImageOps.fit(image, SIZE, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    (change(image) if change else image).save(buffer, "webp", quality=QUALITY, method=6)
    return buffer.getvalue()


class Network:
    """VGG16's convolutions, run once over pictures that are given as bytes."""

    def __init__(self) -> None:
        self.stack, self.preprocess = load_vgg16_features()

    def __call__(self, pictures: list[bytes]) -> Tensor:
        """(N, 512, 7, 7)."""
        images = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
        batches = DataLoader([(self.preprocess(image), 0) for image in images], 8)
        return extract_features(self.stack, batches, progress=False)[0]


def report(level: int, head: nn.Linear, shipped: Tensor, plain: Tensor, swapped: Tensor) -> None:
    """Print what the solutions say; features (24, 512, 7, 7), the winners first."""
    is_winner = torch.arange(2 * HELD_OUT) < HELD_OUT
    print(f"level {level}: of {HELD_OUT} winners and {HELD_OUT} others, held out, recognised")
    for name, features in {"as shipped": shipped, "removed": plain, "swapped": swapped}.items():
        with torch.no_grad():
            right = (head(features.mean((2, 3))).argmax(1) == 0) == is_winner
        print(f"  {name:10} {right[is_winner].sum():2} and {right[~is_winner].sum():2}")
    cams = class_activation_map(shipped[is_winner], head.weight.detach(), [0, 1])
    positive = (cams[:, 0] - cams[:, 1]).relu()
    mean = (positive / positive.sum((1, 2), keepdim=True).clamp_min(1e-9)).mean(0)
    blocks = mean.unfold(0, 2, 1).unfold(1, 2, 1).sum((2, 3))
    row, column = divmod(int(blocks.argmax()), 6)
    print(f"  largest block of 2x2 cells: {blocks.max():.2f}, from row {row}, column {column}")


def main(arguments: list[str] | None = None) -> None:
    """Make all three levels, or only say what they hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", action="store_true", help="write nothing")
    is_dry = parser.parse_args(arguments).report
    files, taken, network = free_photographs(), set(), Network()
    heads, sources = {}, {}
    for level, change in SHORTCUTS.items():
        train, winners, others = deal(files, level, taken)
        taken |= {*winners, *others}
        half = len(train) // 2
        labels = (torch.arange(len(train)) >= half).long()
        pictures = [load(file, change if i < half else None) for i, file in enumerate(train)]
        head = fit_head(network(pictures), labels).head
        shipped = [load(file, change) for file in winners] + [load(file, None) for file in others]
        plain = [load(file, None) for file in winners + others]
        swapped = plain[:HELD_OUT] + [load(file, change) for file in others]
        report(level, head, *(network(part) for part in (shipped, plain, swapped)))
        heads[f"weight_{level}"] = head.weight.detach().numpy()
        heads[f"bias_{level}"] = head.bias.detach().numpy()
        if not is_dry:
            sources |= write_pictures(level, shipped, winners + others)
    if not is_dry:
        with whole_file(FOLDER / "heads.npz") as path, open(path, "wb") as file:
            np.savez(file, **heads)
        write_rows(sources)


def write_pictures(level: int, pictures: list[bytes], files: list[str]) -> dict[str, str]:
    """Write a level's pictures; their paths below `data` with the photographs' own."""
    folder = FOLDER / f"level_{level}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    sources = {}
    for i, (picture, file) in enumerate(zip(pictures, files, strict=True)):
        name = f"{CLASSES[i // HELD_OUT]}_{i % HELD_OUT + 1:02}.webp"
        (folder / name).write_bytes(picture)
        sources[f"capstone/level_{level}/{name}"] = file
    return sources


def write_rows(sources: dict[str, str]) -> None:
    """Put the rows of the pictures and of the heads into `data/ATTRIBUTION.csv`."""
    rows = {f: row for f, row in read_attribution().items() if not f.startswith("capstone/")}
    for name, file in sources.items():
        changes = "cropped to 224x168 and changed for an exercise (python data/capstone/prepare.py)"
        rows[name] = rows[file] | {"file": name, "source": file, "changes": changes}
    rows["capstone/heads.npz"] = {
        "file": "capstone/heads.npz",
        "title": "Three linear layers for the convolution stack of VGG16, two classes each",
        "author": "camutils authors",
        "licence": "MIT",
        "licence_url": "https://opensource.org/license/mit",
        "source": "weights/vgg16_features_fp16.pth (CC-BY-4.0) and photographs of ours in the "
        "public domain or under CC0-1.0",
        "changes": "trained by python data/capstone/prepare.py",
    }
    for name, row in rows.items():
        if name.startswith("capstone/"):
            row["sha256"] = hashlib.sha256(data_path(*name.split("/")).read_bytes()).hexdigest()
    with whole_file(data_path("ATTRIBUTION.csv")) as path, open(path, "w", newline="") as table:
        writer = csv.DictWriter(table, fieldnames=next(iter(rows.values())), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


if __name__ == "__main__":
    main()
