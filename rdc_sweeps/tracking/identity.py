"""The identity of a run at W&B, stored in its folder so that a later session or `sync` finds the same run."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from rdc_sweeps.errors import UsageError
from rdc_sweeps.files import write_json
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Origin
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec

IDENTITY = "identity.json"


@dataclass(frozen=True)
class Identity:
    """Identifies a W&B run: `run_id` is the content hash of its spec, `group` its table, `job_type` its row."""

    run_id: str
    project: str
    entity: str | None
    group: str
    job_type: str
    name: str
    tags: tuple[str, ...]
    config: Mapping[str, Any]

    @classmethod
    def of(cls, run: RunDirectory, spec: RunSpec, settings: Settings) -> Self:
        """The identity of a run: the W&B id is its run id, the group its table or study, the job type its row."""
        origin = run.origin()
        table, row, profile = (origin.table, origin.row, origin.profile) if origin else ("none", "none", "none")
        study = origin.study if origin else None
        tags = (table, profile, spec.dataset.name, spec.labels.setting, spec.backbone.name, spec.method.name)
        return cls(
            run_id=run.id,
            project=settings.wandb_project,
            entity=settings.wandb_entity,
            group=group_of(origin),
            job_type=row,
            name=f"{study} trial {origin.trial}" if origin and study else f"{table}/{row} seed {spec.seed}",
            tags=tags if study is None else (study, *tags),
            config=spec.model_dump(mode="json"),
        )

    def save(self, folder: Path) -> None:
        """Write it to the W&B folder of a run."""
        write_json(folder / IDENTITY, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it from the W&B folder of a run.

        Raises:
            UsageError: The folder does not contain a tracked run.
        """
        path = folder / IDENTITY
        try:
            data = json.loads(path.read_text())
            return cls(**{**data, "tags": tuple(data["tags"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{path}: no tracked run here ({error}); it was trained with --wandb disabled, or has not started"
            ) from error


def group_of(origin: Origin | None) -> str:
    """The W&B group of a run: its study, else its table."""
    return "none" if origin is None else origin.study or origin.table
