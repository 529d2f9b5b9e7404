"""The parts of the panels that runs have drawn, for rows to be compared picture by picture."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdc_sweeps.web.readings import RunReading

FOLDER = "pictures"


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

    @property
    def tasks(self) -> list[str]:
        """The tasks that are predicted."""
        return [part.removesuffix(" truth") for part in self.parts if part.endswith(" truth")]


class PictureReader:
    """Cuts panels into their parts; one that was cut is not read again.

    Attributes:
        files: The content of each picture by its address.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._cut: dict[tuple[Path, int], dict[str, tuple[str, tuple[int, int]]]] = {}

    def read(self, runs: Sequence[RunReading]) -> Pictures | None:
        """The pictures of the first seed of each row that has any; None if no row has."""
        addresses: dict[str, dict[str, dict[str, str]]] = {}
        sizes: dict[str, tuple[int, int]] = {}
        rows: dict[str, None] = {}
        for reading in runs:
            row = reading.run.row.id
            if row in rows:
                continue
            for title, path in reading.panels.items():
                parts = self._parts(path, reading.run.spec.dataset.tasks)
                if parts:
                    rows[row] = None
                    addresses.setdefault(title, {})[row] = {part: address for part, (address, _) in parts.items()}
                    sizes |= {part: size for part, (_, size) in parts.items()}
        if not rows:
            return None
        return Pictures(list(addresses), list(rows), list(sizes), sizes, addresses)

    def _parts(self, path: Path, tasks: Sequence[Any]) -> dict[str, tuple[str, tuple[int, int]]]:
        from PIL import Image

        from rdc_sweeps.training.panels import panel_parts

        try:
            key = path, path.stat().st_mtime_ns
            if key in self._cut:
                return self._cut[key]
            with Image.open(path) as panel:
                found = panel_parts(panel.convert("RGB"), [str(task) for task in tasks])
        except (OSError, ValueError):
            # Removed meanwhile, or not what was written: a picture less.
            return {}
        self._cut[key] = {part: (self._keep(picture), picture.size) for part, picture in found.items()}
        return self._cut[key]

    def _keep(self, picture: Any) -> str:
        content = io.BytesIO()
        picture.save(content, format="PNG")
        # Rows share inputs and truths.
        address = f"{FOLDER}/{hashlib.sha256(content.getvalue()).hexdigest()[:16]}.png"
        self.files[address] = content.getvalue()
        return address
