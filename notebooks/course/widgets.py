"""Controls for JupyterLab, each with a still picture for pages without a running kernel."""

import io
from collections.abc import Sequence

import ipywidgets
from IPython.display import display
from PIL import Image, ImageOps

from camutils import Classifier, normalize_map, overlay

from .drawing import with_boxes
from .figures import JPEG

FIRST = "first answer"
SMALLEST = 8  # A crop has at least so many pixels to a side.


def look_at_crop(
    classifier: Classifier,
    image: Image.Image,
    across: tuple[int, int],
    down: tuple[int, int],
    label: str = FIRST,
) -> tuple[bytes, str]:
    """Where a crop lies, its map for a class, and the answers.

    Args:
        classifier: who answers.
        image: an RGB picture.
        across: left and right edge of the crop in percent of the width.
        down: upper and lower edge in percent of the height.
        label: one of the classifier's categories, or `FIRST` for its first answer.

    Returns:
        A JPEG of the picture with a frame beside the crop with its map, on its own scale; and a
        line with the top three answers and, for a class that was chosen, its probability.

    Raises:
        ValueError: the classifier has no class of that label.
    """
    if label != FIRST and label not in classifier.categories:
        raise ValueError(f"label: got {label!r}, expected a category of {classifier.name}.")
    left, right = _edges(across, image.width)
    upper, lower = _edges(down, image.height)
    box = (left, upper, right, lower)
    crop = image.crop(box)
    chosen = None if label == FIRST else classifier.categories.index(label)
    result = classifier.grad_cam(crop, chosen)
    laid = overlay(crop, normalize_map(result.maps[0, 0]), grey=True)
    framed = with_boxes(image, box, colours=["orange"])
    picture = Image.new("RGB", (860, 360), "white")
    picture.paste(ImageOps.contain(framed, (480, 360)), (0, 0))
    picture.paste(ImageOps.contain(laid, (360, 360)), (500, 0))
    buffer = io.BytesIO()
    picture.save(buffer, "jpeg", **JPEG)
    line = ", ".join(f"{a.label} {a.probability:.2f}" for a in classifier.predict(crop))
    if chosen is not None:
        line += f"; chosen: {label} {result.logits.softmax(1)[0, chosen].item():.2f}"
    return buffer.getvalue(), line


def explore_crop(
    classifier: Classifier,
    image: Image.Image,
    labels: Sequence[str],
    across: tuple[int, int],
    down: tuple[int, int],
    *,
    alt: str,
) -> ipywidgets.VBox:
    """Show sliders for a crop, a menu of classes, and what `look_at_crop` gives for them.

    The output also holds a still picture of the start, for pages without a kernel.

    Args:
        classifier: as in `look_at_crop`.
        image: as in `look_at_crop`.
        labels: the classes in the menu, after the first answer.
        across: where the crop starts, as in `look_at_crop`.
        down: likewise.
        alt: what is to be seen in the still picture.

    Returns:
        The panel: two sliders, the menu, the picture, the line.
    """
    still, line = look_at_crop(classifier, image, across, down)
    style = {"min": 0, "max": 100, "layout": ipywidgets.Layout(width="480px")}
    controls = (
        ipywidgets.IntRangeSlider(value=across, description="across %", **style),
        ipywidgets.IntRangeSlider(value=down, description="down %", **style),
        ipywidgets.Dropdown(options=[FIRST, *labels], description="class"),
    )
    picture = ipywidgets.Image(value=still, format="jpeg")
    text = ipywidgets.Label(value=line)

    def update(change: object) -> None:
        values = (control.value for control in controls)
        picture.value, text.value = look_at_crop(classifier, image, *values)

    for control in controls:
        control.observe(update, names="value")
    panel = ipywidgets.VBox([*controls, picture, text])
    bundle = {**panel._repr_mimebundle_(), "image/jpeg": still, "text/plain": alt}
    display(bundle, raw=True, metadata={"image/jpeg": {"alt": alt}})
    return panel


def _edges(percent: tuple[int, int], pixels: int) -> tuple[int, int]:
    first, last = (round(share * pixels / 100) for share in percent)
    first = min(first, pixels - SMALLEST)
    return first, max(last, first + SMALLEST)
