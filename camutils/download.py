"""`python -m camutils.download vgg19 densenet201 elephants`: fetch once what `auto` then uses."""

import argparse
import sys
import urllib.request
from http.client import HTTPException
from pathlib import Path

from .images import ImageError, load_image
from .models import WeightsError, download_weights
from .paths import data_path, whole_file

ORIGINALS = {"elephants": "https://img-datasets.s3.amazonaws.com/elephant.jpg"}


def download_original(name: str) -> Path:
    """Fetch a photograph of the sources into `data/originals`, unless it is there.

    Args:
        name: a key of `ORIGINALS`: `"elephants"` is the photograph of Chollet's book. It is not
            ours to redistribute, so every reader fetches a copy.

    Returns:
        The picture's file. It appears whole or not at all.

    Raises:
        ValueError: an unknown name.
        OSError: it could not be fetched. ImageError: what came is no picture.
    """
    if name not in ORIGINALS:
        raise ValueError(f"name: got {name!r}, expected one of {', '.join(ORIGINALS)}.")
    path, url = data_path("originals", f"{name}.jpg"), ORIGINALS[name]
    if path.is_file():
        return path
    try:
        with whole_file(path) as temporary:
            with urllib.request.urlopen(url, timeout=30) as answer:
                temporary.write_bytes(answer.read())
            load_image(temporary)
    except ImageError as error:
        raise ImageError(
            f"name: what {url} sent for {name} is no picture; kept nothing."
        ) from error
    except (OSError, HTTPException) as error:
        raise OSError(f"name: {name} could not be fetched from {url} ({error}).") from error
    return path


def main(arguments: list[str] | None = None) -> int:
    """Download each name and say in one sentence what came of it; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m camutils.download", description=__doc__)
    parser.add_argument(
        "names", nargs="+", metavar="name", help="a torchvision CNN, as vgg19, or: elephants"
    )
    failed = 0
    for name in parser.parse_args(arguments).names:
        try:
            path = download_original(name) if name in ORIGINALS else download_weights(name)
            print(f"{name}: {path}")
        except (OSError, WeightsError, ValueError) as error:
            failed = 1
            print(error)
    return failed


if __name__ == "__main__":
    sys.exit(main())
