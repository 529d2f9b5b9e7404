"""The measurements as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

LABELS = {"ours": "polar (ours)", "pot": "POT", "eigh": "batched eigh root", "sqrtm": "SciPy sqrtm, no gradient"}


def draw(results: dict[str, Any], folder: Path) -> list[Path]:
    """Write all plots into `folder` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_growth(results["growth"], folder / "growth.png"), _pairs(results["wasserstein"], folder / "pairs.png")]


def _growth(rows: list[dict[str, Any]], path: Path) -> Path:
    figure, axes = plt.subplots(2, len(rows), figsize=(3.4 * len(rows), 6), squeeze=False)
    for column, row in enumerate(rows):
        for line, (name, label) in enumerate((("seconds", "time"), ("bytes", "peak memory"))):
            axis = axes[line][column]
            values = [point["value"] for point in row["points"]]
            measured = [point[name] / row["points"][0][name] for point in row["points"]]
            axis.loglog(values, measured, "o-")
            axis.loglog(values, [value / values[0] for value in values], ":", color="grey", label="linear")
            _mark(axis, values)
            axis.set_xlabel(row["axis"])
            axis.set_title(f"exponent {row[f'{name}_exponent']:.2f}", fontsize=10)
            axis.grid(visible=True, which="both", alpha=0.3)
            if column == 0:
                axis.set_ylabel(f"{label}, relative to the first point")
                axis.legend()
    return _save(figure, path)


def _pairs(rows: list[dict[str, Any]], path: Path) -> Path:
    dimensions = sorted({row["d"] for row in rows})
    figure, axes = plt.subplots(1, len(dimensions), figsize=(4 * len(dimensions), 3.4), squeeze=False)
    for axis, d in zip(axes[0], dimensions, strict=True):
        chosen = [row for row in rows if row["d"] == d]
        regions = [row["regions"] for row in chosen]
        base = chosen[0]["microseconds_per_pair"]["ours both"]
        for name, label in LABELS.items():
            kind = "sqrtm forward" if name == "sqrtm" else f"{name} both"
            axis.loglog(regions, [row["microseconds_per_pair"][kind] / base for row in chosen], "o-", label=label)
        _mark(axis, regions)
        axis.set_title(f"d = {d}", fontsize=10)
        axis.set_xlabel("Gaussians on either side")
        axis.grid(visible=True, which="both", alpha=0.3)
    axes[0][0].set_ylabel("time per pair, relative to our first")
    axes[0][-1].legend(fontsize=8)
    return _save(figure, path)


def _mark(axis: Any, values: list[float]) -> None:
    """Label the measured values only: the minor labels of a short logarithmic axis overlap."""
    axis.set_xticks(values, [f"{value / 1000:.0f}k" if value >= 10_000 else f"{value:g}" for value in values])
    axis.set_xticks([], minor=True)


def _save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
