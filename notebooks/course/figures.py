"""Figures with alternative text, caption and credits; as files for a post, the same every time.

The texts stand in `captions.toml` beside this module.
"""

import base64
import html
import io
import math
import os
import re
import string
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from IPython.display import Markdown, display
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from PIL import Image

from camutils.data import data_path, whole_file
from camutils.plotting import Figure

from .credits import NOT_OURS, credit_groups, html_line, markdown_line
from .scenes import scene_path

CAPTIONS = Path(__file__).with_name("captions.toml")
# `captions.md` begins with figures that ask for nothing; those of the first of these come last.
CONDITIONS = (NOT_OURS, "GPL-", "CC-BY")
JPEG = {"quality": 85, "subsampling": 0, "optimize": True}  # Full colour resolution.


def show_figure(
    figure: Figure, name: str, pictures: Sequence[Path] | None = None, **values: object
) -> None:
    """Show a figure with its alternative text, its caption and the credits of its pictures.

    A figure with photographs is shown as JPEG, one of lines and cells as PNG. If the environment
    variable `CAMUTILS_FIGURES` names a folder (relative to the clone), the figure is also written
    there, `CAMUTILS_FIGURES_WIDTH` pixels wide (1600) as `CAMUTILS_FIGURES_FORMAT` (webp or png);
    one without photographs also as SVG with selectable text on a transparent ground. `captions.md`
    gathers `<figure>` elements, ready to be pasted into a post. Written twice, files are equal.

    Args:
        figure: as `show_cam` and `show_images` make it.
        name: of its table in `captions.toml`, as `02-elephants`, and of the files.
        pictures: files that the figure shows beside those of its table, if only the notebook
            knows them; the credits of all are looked up.
        values: what the placeholders in caption and alternative text stand for, as
            `network=classifier.name`.

    Raises:
        ValueError: no such table, no caption or alternative text in it, a value that no
            placeholder asks for, or a placeholder without a value.
    """
    entry = _read_entry(name)
    caption, alt = _fill_in(name, entry, values)
    changes = entry.get("changes", "heat map laid over")
    groups = credit_groups([*(pictures or ()), *map(_picture_path, entry.get("pictures", []))])
    # The layout is settled once: at a second drawing it would move by a fraction of a pixel.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    if _has_photographs(figure):
        kind, content = "jpeg", _drawn(figure, "jpeg", pil_kwargs=JPEG)
    else:  # No version number in the notebook.
        kind, content = "png", _drawn(figure, "png", metadata={"Software": None})
    bundle = {f"image/{kind}": base64.b64encode(content).decode(), "text/plain": alt}
    display(bundle, raw=True, metadata={f"image/{kind}": {"alt": alt}})
    lines = "".join(f"- {markdown_line(*group)}\n" for group in groups.items())
    summary = "In words; credits" if groups else "In words"
    # JupyterLab gives every picture an empty alternative text, so it stands below, too.
    folded = f"<details><summary>{summary}</summary>\n\n{alt}\n\n{lines}\n</details>"
    display(Markdown(f"**Figure {name}.** {caption}\n\n{folded}"))
    if folder := os.environ.get("CAMUTILS_FIGURES"):
        _write(figure, name, caption, alt, groups, changes, data_path().parent / folder)


def _read_entry(name: str) -> dict[str, Any]:
    """The table of a figure in `captions.toml`, read anew so that an edit is seen at once."""
    entry = tomllib.loads(CAPTIONS.read_text("utf-8")).get(name)
    if entry is None:
        raise ValueError(f"name is {name!r}, but captions.toml has no table [{name}]; write one.")
    for text in ("caption", "alt"):
        if not entry.get(text, "").strip():
            raise ValueError(f"Figure {name} has no {text} in captions.toml; write one.")
    return entry


def _fill_in(name: str, entry: dict[str, Any], values: dict[str, object]) -> tuple[str, str]:
    """Caption and alternative text with the values in their places, each as one line."""
    texts = [" ".join(entry[text].split()) for text in ("caption", "alt")]
    parts = [part for text in texts for part in string.Formatter().parse(text)]
    asked = {field for _, field, _, _ in parts if field is not None}
    if missing := sorted(asked - values.keys()):
        raise ValueError(f"Figure {name} needs a value for {', '.join(missing)}; pass it by name.")
    if unused := sorted(values.keys() - asked):
        raise ValueError(f"Figure {name} has no {', '.join(unused)} in its texts; leave it out.")
    caption, alt = [text.format(**values) for text in texts]
    return caption, alt


def _picture_path(picture: str) -> Path:
    """A picture of `captions.toml`: a path below `data`, or the name of a scene."""
    return data_path(*picture.split("/")) if "/" in picture else scene_path(picture)


def add_colour_bar(figure: Figure, limits: tuple[float, float], label: str = "") -> Figure:
    """Draw all maps of a figure on one scale, and the scale beside them.

    Args:
        figure: as `show_images` makes it; changed in place. Photographs and overlays in it stay as
            they are; without any map the scale is that of an overlay by default.
        limits: the values at both ends of the scale.
        label: what the values are.

    Returns:
        The same figure.
    """
    axes, norm, colormap = [one for one in figure.axes if one.images], Normalize(*limits), "inferno"
    for image in (image for one in axes for image in one.images):
        if image.get_array().ndim == 2:
            image.set_norm(norm)
            colormap = image.get_cmap()
    figure.colorbar(ScalarMappable(norm, colormap), ax=axes, label=label, shrink=0.8, aspect=30)
    return figure


def _has_photographs(figure: Figure) -> bool:
    return any(image.get_array().ndim == 3 for axes in figure.axes for image in axes.images)


def _drawn(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, bbox_inches="tight", **options)
    return buffer.getvalue()


def _write(
    figure: Figure,
    name: str,
    caption: str,
    alt: str,
    groups: dict[tuple[str, ...], list[tuple[str, str]]],
    changes: str,
    folder: Path,
) -> None:
    width = int(os.environ.get("CAMUTILS_FIGURES_WIDTH", "1600"))
    kind = os.environ.get("CAMUTILS_FIGURES_FORMAT", "webp")
    # Drawn a little larger than needed, then reduced to the very width.
    dpi = math.ceil(1.25 * width / figure.get_figwidth())
    with Image.open(io.BytesIO(_drawn(figure, "png", dpi=dpi))) as drawn:
        height = round(drawn.height * width / drawn.width)
        raster = drawn.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    with whole_file(folder / f"{name}.{kind}") as path:
        raster.save(path, quality=90)
    if not _has_photographs(figure):
        with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
            svg = _drawn(figure, "svg", transparent=True, metadata={"Date": None, "Creator": None})
        with whole_file(folder / f"{name}.svg") as path:
            path.write_bytes(svg)
    credits_text = " ".join(html_line(*group, changes) for group in groups.items())
    text = html.escape(caption, quote=False)
    if credits_text:
        text += f" <small>{credits_text}</small>"
    element = (
        f'<figure id="{name}">\n'
        f'<img src="{name}.{kind}" width="{width}" height="{height}" alt="{html.escape(alt)}"'
        ' style="max-width: 100%; height: auto">\n'
        f"<figcaption>{text}</figcaption>\n</figure>\n"
    )
    index = folder / "captions.md"
    written = index.read_text("utf-8") if index.is_file() else ""
    elements = dict(re.findall(r'(?s)(<figure id="(.+?)">.*?</figure>\n)', written))
    elements = {key: text for text, key in elements.items()} | {name: element}
    with whole_file(index) as path:
        in_order = sorted(
            elements, key=lambda key: ([word in elements[key] for word in CONDITIONS], key)
        )
        path.write_text("\n".join(elements[key] for key in in_order), "utf-8")
