"""The result of a check of a data root."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rdc_sweeps.data.provenance import SplitRecord
from rdc_sweeps.specs.base import Size

Level = Literal["skipped", "ok", "warning", "error"]
"""The verdict of a check; skipped if there is nothing to compare."""

LEVELS: tuple[Level, ...] = ("skipped", "ok", "warning", "error")
"""From the least to the worst: what is skipped in one split is told only if it is in both."""

VERSION = 1
"""Of the JSON form of `DataCheck`."""

MOST_PLACES = 20
"""Files that are named for one check."""


@dataclass(frozen=True)
class Finding:
    """What a check has found in one split or in both.

    Attributes:
        level: The verdict.
        found: Numbers and problems.
        remedy: What to do about a problem.
        places: Files that it concerns, relative to the root; at most `MOST_PLACES`.
    """

    level: Level
    found: str
    remedy: str | None = None
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """A check with its verdict.

    Attributes:
        name: The check.
        level: The verdict.
        found: Numbers and problems.
        expected: What a good root has.
        remedy: What to do about a problem.
        places: Files that it concerns, relative to the root.
    """

    name: str
    level: Level
    found: str
    expected: str
    remedy: str | None = None
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataCheck:
    """All checks of a root.

    Attributes:
        root: The folder with train/ and val/.
        dataset: What it was compared with.
        folders: Of each kind of map.
        grid: Height and width at which maps were compared.
        checks: In the order in which they are shown.
        fingerprints: Of the splits `train` and `test`, as runs record them in `data.json`; empty if files are missing
            or damaged.
        version: Of this form.
    """

    root: str
    dataset: str
    folders: Mapping[str, str]
    grid: Size
    checks: tuple[Check, ...]
    fingerprints: Mapping[str, SplitRecord]
    version: int = VERSION

    def count(self, level: Level) -> int:
        """How many checks have this verdict."""
        return sum(check.level == level for check in self.checks)


def combine(name: str, expected: str, findings: Mapping[str, Finding]) -> Check:
    """A check from its findings in the splits, of which only the worst are told unless all are equal."""
    worst = max((one.level for one in findings.values()), key=LEVELS.index)
    told = {split: one for split, one in findings.items() if one.level == worst}
    texts = [f"{split}: {one.found}" if split else one.found for split, one in told.items()]
    if len(told) > 1 and len({one.found for one in told.values()}) == 1:
        texts = [next(iter(told.values())).found]
    remedies = dict.fromkeys(one.remedy for one in told.values() if one.remedy)
    places = tuple(place for one in told.values() for place in one.places)
    return Check(name, worst, "; ".join(texts), expected, "; ".join(remedies) or None, places)


def some(places: Sequence[str], most: int = 3) -> str:
    """The first places, and how many more there are."""
    return ", ".join(places[:most]) + (f" and {len(places) - most} more" if len(places) > most else "")
