"""What a study would do, before anything is trained; imports nothing heavy, for it is the dry run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rdc_sweeps.specs.run import run_id
from rdc_sweeps.tuning.tuned_row import TunedRow


@dataclass(frozen=True)
class TriedFirst:
    """A configuration that is tried before the sampler is asked."""

    values: Mapping[str, Any]
    runs: Mapping[int, str]
    """Run ids by seed."""


@dataclass(frozen=True)
class StudyPlan:
    """A study with what is known of it before it is trained."""

    tuned: TunedRow
    name: str
    asked: int
    finished: int
    tried_first: tuple[TriedFirst, ...]
    baseline: Mapping[int, str]
    """Run ids of the baseline row by seed; empty if the objective is one metric."""

    @property
    def to_do(self) -> int:
        """Trials that are not finished."""
        return max(0, self.asked - self.finished)

    def to_data(self) -> dict[str, Any]:
        """As plain values."""
        tuned, spec = self.tuned, self.tuned.spec
        return {
            "study": spec.study,
            "name": self.name,
            "table": spec.table,
            "row": spec.row,
            "profile": tuned.profile,
            "objective": spec.objective.model_dump(mode="json"),
            "space": {path: drawn.model_dump(mode="json") for path, drawn in spec.space.items()},
            "own_values": tuned.own_values,
            "seeds": list(spec.seeds),
            "epochs": tuned.run.training.epochs,
            "asked": self.asked,
            "finished": self.finished,
            "to_do": self.to_do,
            "tried_first": [{"values": dict(one.values), "runs": dict(one.runs)} for one in self.tried_first],
            "baseline": {"row": tuned.baseline_row, "runs": dict(self.baseline)} if self.baseline else None,
            "confirm": list(spec.confirm),
        }


def plan_study(tuned: TunedRow, name: str, asked: int, finished: int) -> StudyPlan:
    """What the study would try first, and against what it would be measured."""
    seeds = tuned.spec.seeds
    first = (
        TriedFirst(values, {seed: run_id(tuned.run_with(values, seed)) for seed in seeds})
        for values in tuned.enqueued()
    )
    baseline = {seed: run_id(run) for seed in seeds if (run := tuned.baseline_run(seed)) is not None}
    return StudyPlan(tuned, name, asked, finished, tuple(first), baseline)
