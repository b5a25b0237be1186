"""What notebooks 01 and 03 draw: pictures with the answers under them, counts over the size."""

from collections.abc import Mapping, Sequence
from typing import Any

from camutils import Figure, show_images

RIGHT = "#0072B2"
WRONG = "#C23B00"


def show_answers(
    pictures: Sequence[Any],
    answers: Sequence[tuple[str, bool]],
    titles: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    width: float = 10.0,
) -> Figure:
    """Pictures with a network's answers under them.

    Args:
        pictures: as `show_images` takes them.
        answers: one for each: the text, and whether the answer is right.
        titles: above the pictures.
        columns: None for one row.
        width: of the figure in inches.

    Returns:
        A figure made without pyplot. A right answer is blue and has a tick, a wrong one is red and
        has a cross.
    """
    figure = show_images(pictures, titles, columns=columns, width=width)
    rows = -(-len(pictures) // (columns or len(pictures)))
    figure.set_figheight(figure.get_figheight() + 0.3 * rows)
    for axes, (text, is_right) in zip(figure.axes, answers, strict=False):
        sign = "✓" if is_right else "✗"
        axes.set_xlabel(f"{sign} {text}", color=RIGHT if is_right else WRONG, fontsize=11)
    return figure


def draw_counts(
    sizes: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[int]]],
    n: int,
    marks: Mapping[float, str],
    labels: tuple[str, str],
) -> Figure:
    """How many of n pictures are answered rightly at each size, side by side.

    Args:
        sizes: along the horizontal axis.
        panels: by their titles, for each panel: by the name of a curve, a count for each size.
        n: the largest count.
        marks: sizes with a vertical line, and what is written above it.
        labels: of the two axes.

    Returns:
        A figure made without pyplot.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, curves) in zip(grid, panels.items(), strict=True):
        styles = (("o-", RIGHT), ("s--", WRONG), ("^:", "black"))
        for (name, counts), (style, colour) in zip(curves.items(), styles, strict=False):
            axes.plot(sizes, counts, style, color=colour, label=name)
        for size, text in marks.items():
            axes.axvline(size, color="#999999", linestyle=":", zorder=0)
            axes.text(size, n + 0.5, text, ha="center", va="bottom", fontsize=8)
        axes.set_title(title, fontsize=11, pad=28)
        axes.set(xlabel=labels[0], ylim=(-0.5, n + 0.5))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
        axes.spines[["top", "right"]].set_visible(False)
    grid[0].set_ylabel(labels[1])
    grid[0].set_yticks(range(0, n + 1, max(1, n // 5)))
    return figure
