"""What all figures share: colours, texts and files."""

import io
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rdc_sweeps.texts import visible

FigureFormat = Literal["png", "pdf"]

DOTS_PER_INCH = 150

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Told apart by people who do not see all colours (Okabe & Ito)."""

WRONG, RIGHT, VOID_WHITE = (213, 94, 0), (222, 222, 222), (255, 255, 255)
"""Colours of error maps of classes."""

ERROR_COLOURS = "magma"

SMALL, USUAL = 8, 9
"""Font sizes in points."""


@contextmanager
def drawing() -> Iterator[None]:
    """Within the context, texts are what they are: names may contain dollar signs, which are not mathematics."""
    with matplotlib.rc_context({"text.parse_math": False, "font.size": USUAL, "font.family": "DejaVu Sans"}):
        yield


def encoded(figure: Figure, form: FigureFormat = "png") -> bytes:
    """A figure as a file; equal figures give equal bytes."""
    content = io.BytesIO()
    FigureCanvasAgg(figure)
    metadata: dict[str, Any] = {"CreationDate": None} if form == "pdf" else {}
    with drawing(), warnings.catch_warnings():
        # Signs that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(content, format=form, dpi=DOTS_PER_INCH, metadata=metadata)
    return content.getvalue()


def name_lines(name: str, width: int = 20) -> str:
    """A name in lines that fit above a picture; at most three."""
    lines = textwrap.wrap(visible(name).replace("\n", " "), width, break_on_hyphens=True) or [""]
    return "\n".join(lines if len(lines) <= 3 else [*lines[:2], f"{lines[2][: width - 1]}…"])


def blank(axes: Axes) -> None:
    """Show axes without frame and ticks."""
    axes.set_axis_off()


def without_ticks(axes: Axes) -> None:
    """Show the frame alone."""
    axes.set_xticks([])
    axes.set_yticks([])
