"""The observer that hands a run's events to W&B."""

from collections.abc import Mapping, Sequence
from typing import Literal

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Result
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.tracking.mode import resolve_mode
from rdc_sweeps.tracking.wandb import WandbTracker
from rdc_sweeps.training.observers import Panel
from rdc_sweeps.training.records import EpochRecord


class TrackingObserver:
    """A run's W&B run: id = run id, group = table or study, job type = row."""

    def __init__(self, directory: RunDirectory, spec: RunSpec, settings: Settings) -> None:
        origin = directory.origin()
        table, row, profile = (origin.table, origin.row, origin.profile) if origin else ("none", "none", "none")
        study = origin.study if origin else None
        tags = [table, profile, spec.dataset.name, spec.labels.setting, spec.backbone.name, spec.method.name]
        self.tracker = WandbTracker(
            directory.id,
            directory.folder,
            spec.model_dump(mode="json"),
            mode=resolve_mode(settings.wandb),
            project=settings.wandb_project,
            entity=settings.wandb_entity,
            group=study or table,
            job_type=row,
            name=f"{study} trial {origin.trial}" if origin and study else f"{table}/{row} seed {spec.seed}",
            tags=tags if study is None else [study, *tags],
        )

    def started(self, step: int, epochs: int, steps_per_epoch: int) -> None:
        """Begin or continue the W&B run."""
        self.tracker.start(step)

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Log a step."""
        self.tracker.log_step(step, values)

    def evaluated(self, record: EpochRecord, step: int, panels: Sequence[Panel]) -> None:
        """Log an epoch's metrics and pictures."""
        values = {f"train/{name}": value for name, value in record.losses.items()}
        for split, metrics in (("test", record.test), ("validation", record.validation or {})):
            values.update({f"{split}/{name}": value for name, value in metrics.items() if value is not None})
        self.tracker.log_epoch(record.epoch, step, values)
        self.tracker.log_panels(record.epoch, step, panels)

    def summarise(self, result: Result) -> None:
        """The chosen epochs' test metrics as the W&B run's summary."""
        summary: dict[str, float] = {"seconds": result.seconds, "parameters": result.parameters}
        for rule, selected in result.selected.items():
            if selected is not None:
                summary[f"{rule}/epoch"] = selected.epoch
                summary.update(
                    {f"{rule}/{name}": value for name, value in selected.metrics.items() if value is not None}
                )
        self.tracker.summary(summary)

    def finish(self, state: Literal["done", "failed", "preempted"]) -> None:
        """End the W&B run."""
        self.tracker.finish(state)
