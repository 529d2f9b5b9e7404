"""What names a run at W&B, kept beside its journal so that a later session or an upload by hand finds the same run."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from rdc_sweeps.errors import UsageError
from rdc_sweeps.files import write_json

FILE = "identity.json"


@dataclass(frozen=True)
class Identity:
    """A W&B run: `run_id` is the content hash of its spec, `group` its table, `job_type` its row."""

    run_id: str
    project: str
    entity: str | None
    group: str
    job_type: str
    name: str
    tags: tuple[str, ...]
    config: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write it to the W&B folder of a run."""
        write_json(folder / FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it from the W&B folder of a run.

        Raises:
            UsageError: The folder holds no tracked run.
        """
        path = folder / FILE
        try:
            data = json.loads(path.read_text())
            return cls(**{**data, "tags": tuple(data["tags"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{path}: no tracked run here ({error}); name the wandb folder of a run directory"
            ) from error
