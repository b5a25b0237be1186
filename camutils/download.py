"""`python -m camutils.download vgg19 densenet201 elephants`: fetch weights and pictures once."""

import argparse
from pathlib import Path

from .data import data_path
from .images import load_image
from .models import download_weights, fetch

ORIGINALS = {"elephants": "https://img-datasets.s3.amazonaws.com/elephant.jpg"}


def download_original(name: str) -> Path:
    """Fetch a photograph of the sources into `data/originals`, unless it is there.

    Args:
        name: a key of `ORIGINALS`: `"elephants"` is the photograph of Chollet's book. It is not
            ours to redistribute, so every reader fetches a copy.

    Returns:
        The picture's file. It appears whole or not at all.

    Raises:
        KeyError: no such photograph.
        OSError, HTTPException: it could not be fetched.
        ImageError: what came is not a picture.
    """
    path = data_path("originals", f"{name}.jpg")
    if not path.is_file():
        fetch(ORIGINALS[name], path, check=load_image)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Download each name and say in one sentence what came of it; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m camutils.download", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="name", help="a torchvision CNN, or elephants")
    failed = 0
    for name in parser.parse_args(arguments).names:
        try:
            path = download_original(name) if name in ORIGINALS else download_weights(name)
            print(f"{name}: {path}")
        except Exception as error:  # The other names may still come.
            failed = 1
            print(f"{name} was not downloaded: {error}")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
