"""The parts of the panels that runs have drawn, for rows to be compared picture by picture."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rdc_sweeps.errors import RdcError
from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Result
from rdc_sweeps.web.readings import RunReading

FOLDER = "pictures"

Cut = Mapping[str, tuple[str, tuple[int, int], bytes]]
"""Address, size and content of each part of a panel."""

Scores = Mapping[str, Mapping[str, str]]
"""The main metric of each task, by image and task."""


@dataclass(frozen=True)
class Pictures:
    """Pictures of a table: addresses by image, row and part."""

    images: Sequence[str]
    rows: Sequence[str]
    parts: Sequence[str]
    """`input`, and of each task `TASK truth` and `TASK`."""
    sizes: Mapping[str, tuple[int, int]]
    """Width and height of each part."""
    addresses: Mapping[str, Mapping[str, Mapping[str, str]]]
    scores: Mapping[str, Mapping[str, Mapping[str, str]]]
    """The metric of each task on the image alone, by image, row and task; of runs that keep scores."""

    @property
    def has_scores(self) -> bool:
        """Whether any row keeps scores of these images."""
        return any(found for rows in self.scores.values() for found in rows.values())

    @property
    def tasks(self) -> list[str]:
        """The tasks that are predicted."""
        return [part.removesuffix(" truth") for part in self.parts if part.endswith(" truth")]


class PictureReader:
    """Cuts panels into their parts; one that was cut is not read again.

    Args:
        root: The runs folder.

    Attributes:
        files: The content of each picture by its address.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, bytes] = {}
        self._former: dict[tuple[Path, int], Cut] = {}
        self._scores: dict[str, tuple[Result, Scores]] = {}
        self._cut: dict[tuple[Path, int], Cut] = {}

    def begin(self) -> None:
        """Forget what was not read since the last call: each epoch of a training draws new panels."""
        self._former, self._cut, self.files = self._cut, {}, {}

    def read(self, runs: Sequence[RunReading]) -> Pictures | None:
        """The pictures of the first seed of each row that has any; None if no row has."""
        addresses: dict[str, dict[str, dict[str, str]]] = {}
        sizes: dict[str, tuple[int, int]] = {}
        rows: dict[str, None] = {}
        scores: dict[str, dict[str, Mapping[str, str]]] = {}
        for reading in runs:
            row = reading.run.row.id
            if row in rows:
                continue
            for title, path in reading.panels.items():
                parts = self._parts(path, reading.run.spec.dataset.tasks)
                if parts:
                    rows[row] = None
                    addresses.setdefault(title, {})[row] = {part: address for part, (address, _, _) in parts.items()}
                    scores.setdefault(title, {})[row] = self._scores_of(reading).get(title, {})
                    sizes |= {part: size for part, (_, size, _) in parts.items()}
        if not rows:
            return None
        return Pictures(list(addresses), list(rows), list(sizes), sizes, addresses, scores)

    def _scores_of(self, reading: RunReading) -> Scores:
        result = reading.result
        if result is None:
            return {}
        known = self._scores.get(reading.run.id)
        if known is None or known[0] is not result:
            known = self._scores[reading.run.id] = result, _texts(RunDirectory(self.root, reading.run.id))
        return known[1]

    def _parts(self, path: Path, tasks: Sequence[str]) -> Cut:
        try:
            key = path, path.stat().st_mtime_ns
            found = self._former.get(key) or _cut(path, tasks)
        except (OSError, ValueError):
            # Removed meanwhile, or not what was written: a picture less.
            return {}
        self._cut[key] = found
        self.files |= {address: content for address, _, content in found.values()}
        return found


def _cut(path: Path, tasks: Sequence[str]) -> Cut:
    from PIL import Image

    from rdc_sweeps.training.panels import panel_parts

    found = {}
    with Image.open(path) as panel:
        for part, picture in panel_parts(panel.convert("RGB"), tasks).items():
            content = io.BytesIO()
            picture.save(content, format="PNG")
            # Rows share inputs and truths.
            digest = hashlib.sha256(content.getvalue()).hexdigest()[:16]
            found[part] = f"{FOLDER}/{digest}.png", picture.size, content.getvalue()
    return found


def _texts(directory: RunDirectory) -> Scores:
    """The scores that a run keeps of its test images after its last epoch, when it drew its panels."""
    from rdc_sweeps.reporting.images import kept_scores

    try:
        scores = kept_scores(directory, "last")
    except (RdcError, OSError):
        return {}
    if scores is None:
        return {}
    found: dict[str, dict[str, str]] = {}
    for image in map(int, scores.images):
        values = scores.of_image(image)
        main = [METRICS[name] for name in MAIN_METRICS if name in values]
        found[f"image {image}"] = {one.task: f"{one.name} {one.text(values[one.name])}" for one in main}
    return found
