"""The folder of a study below the runs folder: the study's record, and which worker has which trial.

runs/studies/<name>/study.yaml        the study, resolved; a name keeps its meaning
                    journal.log       the trials, unless they are in a database
                    lock              held while a trial is claimed
                    trials/<n>.lock   held by the worker of trial n until it ends
                    workers/          logs of the workers
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rdc_sweeps.errors import SpecError, UsageError
from rdc_sweeps.files import write_atomically
from rdc_sweeps.specs.document import Document, read_document, yaml_text
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
    """Version of the specs: under another one the same values train differently."""

    def to_data(self) -> dict[str, Any]:
        """As plain values."""
        tuned = self.tuned
        return {
            "spec": tuned.spec.model_dump(mode="json"),
            "profile": tuned.profile,
            "metrics": list(tuned.metrics),
            "row": tuned.row.model_dump(mode="json"),
            "overruled": list(tuned.overruled),
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
            tuple(data["overruled"]),
        )
        # The first version was not recorded.
        return cls(tuned, data["storage"], data["token"], data.get("schema", 1))


class StudyFolder:
    """The folder of one study; it is created when something is written."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.folder = root / STUDIES / name
        self.record = self.folder / "study.yaml"
        self.workers = self.folder / "workers"

    def read(self) -> StudyRecord:
        """The study.

        Raises:
            UsageError: There is none of this name.
            SpecError: Its record is damaged.
        """
        if not self.record.exists():
            known = ", ".join(study_names(self.root)) or "none"
            raise UsageError(f"{self.root}: no study {self.name!r} here. There are: {known}")
        document = read_document(self.record)
        try:
            return StudyRecord.of_document(document)
        except (KeyError, TypeError) as error:
            raise SpecError([f"{self.record}: is damaged: {error!r}; choose another name with --study"]) from error

    def record_study(self, tuned: TunedRow, storage: str) -> StudyRecord:
        """Write the record of the study, or check that this name has the same study; the caller holds the claim lock.

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
        text = yaml_text(record.to_data())
        write_atomically(self.record, lambda file: file.write(text.encode()))
        return record

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """Lock the study while a trial is claimed; whatever the storage, all workers share the runs folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "lock", poll_interval=0.02):
            yield

    def lock_trial(self, number: int) -> FileLock | None:
        """Lock a trial until the lock is released or the process ends; None if another worker has it."""
        (self.folder / "trials").mkdir(exist_ok=True)
        lock = FileLock(self.folder / "trials" / f"{number}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            return None
        return lock

    def is_worked_on(self, number: int) -> bool:
        """Whether the worker of a trial is alive."""
        if not (self.folder / "trials" / f"{number}.lock").exists():
            return False
        lock = self.lock_trial(number)
        if lock is None:
            return True
        lock.release()
        return False


def study_names(root: Path) -> list[str]:
    """The studies of a runs folder."""
    return sorted(path.parent.name for path in (root / STUDIES).glob("*/study.yaml"))


def _identity(record: StudyRecord) -> dict[str, Any]:
    data = record.to_data()
    # How a table prints its row does not change what is trained.
    del data["row"], data["overruled"]
    data["spec"] = {name: value for name, value in data["spec"].items() if name not in CHANGEABLE}
    return data


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs, field by field."""
    causes, results = ("schema", "spec", "profile", "storage"), ("metrics", "run", "baseline_row", "baseline")
    found = [text for key in causes for text in _compared(old[key], new[key], key)]
    # Resolved rows follow from these, except where a table or profile was edited.
    return found or [text for key in results for text in _compared(old[key], new[key], key)]


def _compared(old: Any, new: Any, place: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _compared(old.get(key), new.get(key), f"{place}.{key}")
    elif old != new:
        yield f"{place}: {_shown(old)} there, {_shown(new)} now"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
