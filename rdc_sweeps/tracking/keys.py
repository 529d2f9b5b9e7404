"""Names under which W&B has what runs log: sessions write them, dashboards show them, and both take them from here."""

from typing import Literal

Split = Literal["train", "test", "validation", "probe"]
"""Parts of an epoch's record."""

EPOCH = "epoch"
"""The number of the epoch; the horizontal axis of everything that is logged once per epoch."""


def of_split(split: Split, name: str) -> str:
    """The key of a value of an epoch: a mean loss, a metric or a probe."""
    return f"{split}/{name}"


def of_selection(rule: str, name: str) -> str:
    """The key, in the summary, of a test metric of the epoch that a selection rule chooses."""
    return f"{rule}/{name}"


def of_picture(title: str) -> str:
    """The key of a prediction panel."""
    return f"panels/{title}"
