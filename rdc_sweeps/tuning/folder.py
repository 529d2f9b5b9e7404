"""The folder of a study in the runs folder: the study's record, and the locks that assign trials to workers.

runs/studies/<name>/study.yaml        the resolved study; a name always means the same study
                    journal.log       the trials, unless they are in a database
                    lock              held while a trial is claimed
                    trials/<n>.lock   held by the worker of trial n until the worker ends
                    workers/          logs of the workers
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdc_sweeps.errors import DamagedError, SpecError, UsageError
from rdc_sweeps.files import is_locked, read_file, try_lock, unlock, wait_for_lock, write_atomically
from rdc_sweeps.seals import YAML, has_header, with_header, without_header
from rdc_sweeps.specs.catalogue import unknown
from rdc_sweeps.specs.dialect import yaml_text
from rdc_sweeps.specs.document import Document, read_document
from rdc_sweeps.specs.run import SCHEMA_VERSION, RunSpec
from rdc_sweeps.specs.study import StudySpec
from rdc_sweeps.specs.table import RowSpec
from rdc_sweeps.specs.validation import build
from rdc_sweeps.tuning.tuned_row import TunedRow

STUDIES = "studies"

CHANGEABLE = ("trials", "confirm", "title", "enqueue")
"""Fields of a study that may change between two calls, because no trial depends on them."""


@dataclass(frozen=True)
class StudyRecord:
    """The content of `study.yaml`."""

    tuned: TunedRow
    storage: str
    """URL without its password."""
    token: str
    """Distinguishes this study from others of the same name in the same database."""
    schema: int = SCHEMA_VERSION
    """Schema version of the specs; under another version, the same values train differently."""

    def to_data(self) -> dict[str, Any]:
        """The record as plain values."""
        tuned = self.tuned
        return {
            "spec": tuned.spec.model_dump(mode="json"),
            "profile": tuned.profile,
            "metrics": list(tuned.metrics),
            "row": tuned.row.model_dump(mode="json"),
            "run": tuned.run.model_dump(mode="json"),
            "baseline_row": tuned.baseline_row,
            "baseline": tuned.baseline.model_dump(mode="json") if tuned.baseline else None,
            "storage": self.storage,
            "token": self.token,
            "schema": self.schema,
        }

    @classmethod
    def of_document(cls, document: Document) -> "StudyRecord":
        """Read a record from its file."""
        data = document.data
        baseline = build(RunSpec, document.at("baseline")) if data["baseline"] else None
        tuned = TunedRow(
            build(StudySpec, document.at("spec")),
            data["profile"],
            tuple(data["metrics"]),
            build(RowSpec, document.at("row")),
            build(RunSpec, document.at("run")),
            baseline,
            data["baseline_row"],
        )
        # The first version was not recorded.
        return cls(tuned, data["storage"], data["token"], data.get("schema", 1))


class StudyFolder:
    """The folder of one study; created when something is written to it."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.folder = root / STUDIES / name
        self.record = self.folder / "study.yaml"
        self.workers = self.folder / "workers"

    def read(self) -> StudyRecord:
        """Read the record of the study.

        Raises:
            UsageError: There is no study of this name.
            DamagedError: Its record is damaged.
        """
        if not self.record.exists():
            raise UsageError(f"{self.root}: {unknown('study', self.name, study_names(self.root))}")
        text = read_file(self.record)
        try:
            if has_header(text, YAML):
                without_header(text, YAML, self.name)
            return StudyRecord.of_document(read_document(self.record))
        except (KeyError, TypeError, ValueError, SpecError) as error:
            raise DamagedError(
                f"{self.record}: is damaged ({error}); restore the file from a backup, or start another study with "
                "--study NAME, which finds the finished runs of this one"
            ) from error

    def record_study(self, tuned: TunedRow, storage: str) -> StudyRecord:
        """Write the record, or check that the existing one is of the same study; the caller holds the claim lock.

        Fields that may change between two calls (number of trials, confirmation seeds) are updated.

        Raises:
            UsageError: Another study has this name.
        """
        if not self.record.exists():
            record = StudyRecord(tuned, storage, secrets.token_hex(8))
        else:
            earlier = self.read()
            record = StudyRecord(tuned, storage, earlier.token)
            if changes := _differences(_identity(earlier), _identity(record)):
                raise UsageError(
                    f"study {self.name} in {self.root} is a different study:\n"
                    + "".join(f"  {change}\n" for change in changes)
                    + "choose another name with --study NAME"
                )
            if record.to_data() == earlier.to_data():
                return record
        text = with_header(yaml_text(record.to_data()).encode(), YAML, self.name)
        write_atomically(self.record, lambda file: file.write(text))
        return record

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """Hold the claim lock. It is in the runs folder, which all workers share whatever the storage."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = wait_for_lock(self.folder / "lock", poll_seconds=0.02)
        try:
            yield
        finally:
            unlock(lock)

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Hold the claim lock if this user may write; one who may only read looks without it."""
        if not os.access(self.folder / "lock", os.W_OK):
            yield
            return
        with self.claiming():
            yield

    def lock_trial(self, number: int) -> int | None:
        """Lock a trial until `files.unlock` or the end of this process; None if another worker has it.

        The caller holds the claim lock.
        """
        (self.folder / "trials").mkdir(exist_ok=True)
        return try_lock(self.folder / "trials" / f"{number}.lock")

    def started(self) -> int:
        """Number of trials that were started, according to their locks."""
        numbers = [int(path.stem) for path in (self.folder / "trials").glob("*.lock") if path.stem.isdecimal()]
        return 1 + max(numbers, default=-1)

    def is_worked_on(self, number: int) -> bool:
        """Whether the worker of a trial is alive; the caller holds the claim lock."""
        return is_locked(self.folder / "trials" / f"{number}.lock")


def study_names(root: Path) -> list[str]:
    """Names of the studies in a runs folder."""
    return sorted(path.parent.name for path in (root / STUDIES).glob("*/study.yaml"))


def _identity(record: StudyRecord) -> dict[str, Any]:
    data = record.to_data()
    # How a table prints its row does not change what is trained.
    del data["row"]
    data["spec"] = {name: value for name, value in data["spec"].items() if name not in CHANGEABLE}
    return data


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The fields that differ, with both values."""
    causes, results = ("schema", "spec", "profile", "storage"), ("metrics", "run", "baseline_row", "baseline")
    found = [text for key in causes for text in _compared(old[key], new[key], key)]
    # Without such a cause, a table or profile was edited.
    return found or [text for key in results for text in _compared(old[key], new[key], key)]


def _compared(old: Any, new: Any, place: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _compared(old.get(key), new.get(key), f"{place}.{key}")
    elif old != new:
        yield f"{place}: was {_shown(old)}, is now {_shown(new)}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
