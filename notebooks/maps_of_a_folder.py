"""Make the Grad-CAM map of every picture in a folder and in the folders below it.

For `cats/tom.jpg` in PICTURES there will be `cats/tom.jpg.npz` in MAPS, in a folder
named after the network: `map` (h, w), after the ReLU and not normalised, `index` of the
top class, and its `logit`. Hidden files are passed over. A file whose name is not a
picture's is listed and left out. A broken picture is named, and the others are made.

A map appears only when it is whole, and is not made again if it is there: after an
interruption, run the same command again. The script uses a GPU if there is one. For
several GPUs, or machines that share the folders, start it under `torchrun`, which
gives each process a part.

The exit code is 1 if a picture was broken, 2 if the script could not start or write,
130 after Ctrl-C, and otherwise 0.
"""

import contextlib
import hashlib
import os
import signal
import sys
import zipfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn


def leave(*_: Any) -> None:
    """On Ctrl-C say how to go on, and end at once, threads included."""
    os.write(2, b"\nStopped: run the same command again to go on.\n")
    os._exit(130)


if __name__ == "__main__":  # Already now, as loading torch takes seconds.
    signal.signal(signal.SIGINT, leave)

import numpy as np
import torch
from PIL import Image
from torch import Tensor, distributed
from tqdm import tqdm

import camutils
from camutils.data import whole_file

BATCH = 8
SIDE = 640  # The longer side of an overlay, in pixels.
NAME_LIMIT = 255  # Bytes, on all common file systems.
SUFFIXES = (".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg")
SUFFIXES += (".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff")
SUFFIXES += (".webp",)


def refuse(sentence: str) -> NoReturn:
    """End with exit code 2."""
    print(sentence, file=sys.stderr)
    sys.exit(2)


def find_files(folder: Path, maps: Path) -> tuple[list[Path], list[Path], list]:
    """Pictures and other files in a folder and below, and errors of folders.

    Hidden ones are passed over, links followed, each folder entered once, `maps` never.
    """
    pictures, others, errors = [], [], []
    entered = {str(maps)}
    walk = os.walk(folder, onerror=errors.append, followlinks=True)
    for place, folders, names in walk:
        real = os.path.realpath(place)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            path = Path(place, name).relative_to(folder)
            if path.suffix.lower() in SUFFIXES:
                pictures.append(path)
            else:
                others.append(path)
    return pictures, others, errors


def map_path(maps: Path, name: Path) -> Path:
    """Where the map of a picture goes; a name that would be too long is cut."""
    stem = name.name
    code = os.fsencode(stem)
    if len(code) + len(".npz") > NAME_LIMIT:
        digest = hashlib.sha256(code).hexdigest()[:16]
        stem = code[:200].decode(errors="ignore") + "-" + digest
    return maps / name.parent / f"{stem}.npz"


def read(job: tuple[Path, Path], preprocess: Callable) -> tuple[Path, Any, Any]:
    """(map's path, network's input, small picture), or (map's path, None, problem)."""
    source, target = job
    try:
        picture = camutils.load_image(source)
    except camutils.ImageError as error:
        return target, None, str(error)
    x = preprocess(picture)
    picture.thumbnail((SIDE, SIDE))
    return target, x, picture


def save_maps(classifier: camutils.Classifier, targets: list[Path], x: Tensor) -> None:
    """Write the map of the top class of each picture; x: (N, 3, H, W)."""
    x = x.to(next(classifier.model.parameters()).device)
    result = camutils.grad_cam(classifier.model, classifier.target_layer, x)
    for i, target in enumerate(targets):
        index = result.classes[i, 0].item()
        heatmap = result.maps[i, 0].cpu().numpy()
        logit = result.logits[i, index].cpu().numpy()
        with whole_file(target) as path, path.open("wb") as file:
            np.savez(file, map=heatmap, index=index, logit=logit)


def draw(target: Path, picture: Image.Image) -> None:
    """Lay a saved map on a grey copy of its picture, and save that beside the map."""
    with np.load(target) as saved:
        heatmap = camutils.normalize_map(saved["map"])
    result = camutils.overlay(picture, heatmap, grey=True)
    with whole_file(target.with_suffix(".jpg")) as path:
        result.save(path, format="JPEG", quality=85)


def report(counts: list[int], rank: int) -> int:
    """Print the summary, under torchrun that of all processes; returns the exit code.

    They leave together: torchrun stops the others when one leaves with exit code 1.
    """
    launched = "TORCHELASTIC_RUN_ID" in os.environ
    if launched:
        sums = torch.tensor(counts)
        distributed.init_process_group("gloo", timeout=timedelta(days=30))
        distributed.all_reduce(sums)
        counts = sums.tolist()
    written, there, left_out, broken = counts
    if rank == 0 or not launched:
        print(f"Maps written: {written}, there already: {there}, ", end="")
        print(f"files left out: {left_out}, pictures broken: {broken}.")
    sys.stdout.flush()
    if launched:
        distributed.barrier()
        distributed.destroy_process_group()
    return 1 if broken else 0


def parse(arguments: list[str] | None) -> Namespace:
    """The arguments and what torchrun sets."""
    raw = RawDescriptionHelpFormatter
    parser = ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("source", metavar="PICTURES", help="a folder to read")
    parser.add_argument("maps", metavar="MAPS", help="a folder to write, elsewhere")
    pictures = "also write a small overlay picture beside each map"
    parser.add_argument("--pictures", action="store_true", help=pictures)
    options = parser.parse_args(arguments)
    options.source = Path(os.path.realpath(os.path.expanduser(options.source)))
    options.maps = Path(os.path.realpath(os.path.expanduser(options.maps)))
    if not options.source.is_dir():
        refuse(f"PICTURES: {str(options.source)!r} is not a folder.")
    if options.maps.is_file():
        refuse(f"MAPS: {str(options.maps)!r} is a file; name a folder.")

    rank, world = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if rank is None and world is None:
        rank, world = "0", "1"
    numbers = [int(text) if text and text.isdecimal() else -1 for text in (rank, world)]
    options.rank, options.world = numbers
    if not 0 <= options.rank < options.world:
        hint = "set both, RANK from 0 to WORLD_SIZE - 1, or neither"
        refuse(f"RANK is {rank!r} and WORLD_SIZE is {world!r}: {hint}.")
    return options


def is_done(target: Path, overlays: bool) -> bool:
    """Whether the map is there and whole, and its overlay too if it is wanted."""
    drawn = target.with_suffix(".jpg").is_file() or not overlays
    return zipfile.is_zipfile(target) and drawn


@contextlib.contextmanager
def finished_first() -> Iterator[None]:
    """Ctrl-C waits until the block has ended, so that no half file is left behind."""
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)


def make_maps(
    jobs: list[tuple[Path, Path]], classifier: camutils.Classifier, options: Namespace
) -> tuple[int, int]:
    """Make what is missing; returns how many maps were written, how many broken."""
    written = broken = 0
    read_job = partial(read, preprocess=classifier.preprocess)
    bar = tqdm(total=len(jobs), unit="picture", disable=options.rank > 0)
    with bar, ThreadPoolExecutor(BATCH) as pool:
        for start in range(0, len(jobs), BATCH):
            batch = list(pool.map(read_job, jobs[start : start + BATCH]))
            whole = [item for item in batch if item[1] is not None]
            new = [item for item in whole if not is_done(item[0], overlays=False)]
            with finished_first():
                if new:
                    targets, inputs, _ = zip(*new, strict=True)
                    save_maps(classifier, targets, torch.stack(inputs))
                if options.pictures:
                    for target, _, picture in whole:
                        draw(target, picture)
            for _, x, problem in batch:
                if x is None:
                    tqdm.write(problem)
            written += len(new)
            broken += len(batch) - len(whole)
            bar.update(len(batch))
    return written, broken


def load_network(rank: int) -> camutils.Classifier:
    """DenseNet201 or what stands in for it, on a GPU if there is one."""
    try:
        classifier = camutils.load_classifier(
            "densenet201", stand_in="efficientnet_lite0"
        )
    except (ValueError, camutils.WeightsError) as error:  # Of CAMUTILS_WEIGHTS, too.
        refuse(str(error))
    if torch.cuda.is_available():
        local = int(os.environ.get("LOCAL_RANK", rank))
        classifier.model.to(f"cuda:{local % torch.cuda.device_count()}")
    return classifier


def main(arguments: list[str] | None = None) -> int:
    """Make the maps that are missing, and return the exit code."""
    options = parse(arguments)
    source, maps, rank = options.source, options.maps, options.rank
    with contextlib.redirect_stdout(sys.stdout if rank == 0 else None):
        classifier = load_network(rank)
        # Maps of another network, or of the same one untrained, are not mixed in.
        maps /= classifier.name if classifier.trained else f"{classifier.name}-random"
        print(f"The maps of {classifier.name} go to {str(maps)!r}.")
    if maps.is_relative_to(source):
        refuse(f"MAPS: {str(maps)!r} is in PICTURES; name a folder outside.")

    pictures, others, errors = find_files(source, options.maps)
    if rank > 0:  # The first process reports what concerns all of them.
        others, errors = [], []
    for error in errors:
        print(f"{error.filename!r} cannot be read: {error.strerror}.")
    if others:
        names = ", ".join(repr(str(name)) for name in others[:20])
        more = ", ..." if len(others) > 20 else ""
        print(f"Left out, since their names are not a picture's: {names}{more}")

    own = pictures[rank :: options.world]
    jobs = [(source / name, map_path(maps, name)) for name in own]
    jobs = [job for job in jobs if not is_done(job[1], options.pictures)]
    try:
        written, broken = make_maps(jobs, classifier, options)
    except OSError as error:  # No space, no permission.
        refuse(f"Stopped: {error}. Mend that and run the same command again to go on.")
    there = len(own) - written - broken
    return report([written, there, len(others), broken + len(errors)], rank)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # Names need not be UTF-8.
    sys.exit(main())
