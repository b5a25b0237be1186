"""Figures with alternative text, caption and credits; as files for a post, the same every time."""

import base64
import html
import io
import math
import os
import re
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

from .credits import credit_groups, html_line, markdown_line

JPEG = {"quality": 85, "subsampling": 0, "optimize": True}  # Full colour resolution.


def show_figure(
    figure: Figure,
    name: str,
    caption: str,
    pictures: Sequence[Path] = (),
    *,
    alt: str,
    changes: str = "heat map laid over",
) -> None:
    """Show a figure with its alternative text, its caption and the credits of its pictures.

    A figure with photographs is shown as JPEG, one of lines and cells as PNG. If the environment
    variable `CAMUTILS_FIGURES` names a folder (relative to the clone), the figure is also written
    there, `CAMUTILS_FIGURES_WIDTH` pixels wide (1600) as `CAMUTILS_FIGURES_FORMAT` (webp or png);
    one without photographs also as SVG with selectable text on a transparent ground. `captions.md`
    gathers `<figure>` elements, ready to be pasted into a post. Written twice, files are equal.

    Args:
        figure: as `show_cam` and `show_images` make it.
        name: of the files: small letters, digits and hyphens, as `02-elephants`.
        caption: one or two sentences that can be read alone, with the network's name.
        pictures: the files in `data/` that the figure shows; their credits are looked up.
        alt: what is to be seen, for those who do not see it; more than 20 characters.
        changes: what was done to the pictures, for licences that ask for it; "" for nothing.

    Raises:
        ValueError: a name of another form, an alternative text too short to tell anything.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"name: got {name!r}, expected small letters, digits and hyphens.")
    if len(alt) <= 20:
        raise ValueError(f"alt: got {alt!r}, expected more than 20 characters: what is to be seen.")
    caption, alt = (" ".join(text.split()) for text in (caption, alt))
    groups = credit_groups(pictures)
    # The layout is settled once: at a second drawing it would move by a fraction of a pixel.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    kind, options = "png", {"metadata": {"Software": None}}  # No version number in the notebook.
    if _has_photographs(figure):
        kind, options = "jpeg", {"pil_kwargs": JPEG}
    content = base64.b64encode(_drawn(figure, kind, **options))
    bundle = {f"image/{kind}": content.decode(), "text/plain": alt}
    display(bundle, raw=True, metadata={f"image/{kind}": {"alt": alt}})
    credits_text = "".join(f"- {markdown_line(*group)}\n" for group in groups.items())
    folded = f"\n\n<details><summary>Credits</summary>\n\n{credits_text}\n</details>"
    display(Markdown(f"**Figure {name}.** {caption}{folded if groups else ''}"))
    if folder := os.environ.get("CAMUTILS_FIGURES"):
        _write(figure, name, caption, alt, groups, changes, data_path().parent / folder)


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
    element = (
        f'<figure id="{name}">\n'
        f'<img src="{name}.{kind}" width="{width}" height="{height}" alt="{html.escape(alt)}">\n'
        f"<figcaption>{html.escape(caption, quote=False)}"
        f"{f' <small>{credits_text}</small>' if credits_text else ''}</figcaption>\n</figure>\n"
    )
    index = folder / "captions.md"
    written = index.read_text("utf-8") if index.is_file() else ""
    elements = dict(re.findall(r'(?s)(<figure id="(.+?)">.*?</figure>\n)', written))
    elements = {key: text for text, key in elements.items()} | {name: element}
    with whole_file(index) as path:
        path.write_text("\n".join(elements[key] for key in sorted(elements)), "utf-8")
