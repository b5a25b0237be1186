"""`python -m camutils.download vgg19 densenet201 elephants iguana`: fetch weights and pictures."""

import sys
from pathlib import Path

from .data import data_path
from .images import load_image
from .models import check_digest, default_weights, download_weights, fetch

HELMHOLTZ = (
    "https://raw.githubusercontent.com/HelmholtzAI-Consultants-Munich/XAI-Tutorials/"
    "02907a41cc311b311a708a289365ae72ce6ebc8a/data/images/"
)
# Photographs of the sources: name → file in `data/originals`, address, SHA-256 (None: not known).
# They are not ours to redistribute, so every reader fetches a copy.
ORIGINALS = {
    "elephants": (
        "elephants.jpg",
        "https://img-datasets.s3.amazonaws.com/elephant.jpg",
        None,
    ),
    "iguana": (
        "iguana.jpg",
        HELMHOLTZ + "Man%26Iguana.jpeg",
        "1aa2f05e7ea50ce68cda9a2a510f3c6c1eda1ee6ee81d21ed38917d8e6b4a404",
    ),
    "iguana2": (
        "iguana2.jpg",
        HELMHOLTZ + "Iguana.jpeg",
        "9f5f220e5fe6bbabbd57b25c9333b6c15a8711abbf6e57e4dbcc81a9949a309e",
    ),
}


def download_original(name: str) -> Path:
    """Fetch a photograph of the sources into `data/originals`, unless it is there.

    Args:
        name: a key of `ORIGINALS`: `"elephants"` is the photograph of Chollet's book, `"iguana"`
            and `"iguana2"` are from the tutorials of Helmholtz AI.

    Returns:
        The picture's file. It appears whole or not at all.

    Raises:
        KeyError: no such photograph.
        OSError, HTTPException: it could not be fetched.
        ImageError, WeightsError: what came is not a picture, or another file.

    Example:
        >>> photo = load_image(download_original("elephants"))
    """
    file, address, sha256 = ORIGINALS[name]

    def check(fetched: Path) -> None:
        load_image(fetched)
        if sha256:
            check_digest(fetched, sha256)

    path = data_path("originals", file)
    if not path.is_file():
        fetch(address, path, check)
    return path


def main(names: list[str]) -> int:
    """Download each name and say in one sentence what came of it; 1 if anything failed."""
    if not names:
        print(__doc__)
    failed = 0
    for name in names:
        try:
            if name in ORIGINALS:
                path = download_original(name)
            else:
                path = download_weights(default_weights(name))
            print(f"{name}: {path}")
        except Exception as error:  # The other names may still come.
            failed = 1
            print(f"{name} failed: {error}")
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
