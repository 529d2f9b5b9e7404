"""Studies of the default search space with simulated trainings."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.study import Study, open_study
from rdc_sweeps.tuning.tuned_row import TunedRow, read_study, resolve_study

ROOT = Path(__file__).parents[2]
EPOCHS = 27


def tuned(pruner: str, sampler: str, seed: int) -> TunedRow:
    """The covariance study for one metric, under another sampler and pruner."""
    file = read_study(ROOT / "sweeps" / "covariance.yaml")
    data = file.spec.model_dump(mode="json")
    data |= {
        "objective": {"name": "metric", "metric": "mIoU"},
        "sampler": {"name": sampler, "seed": seed},
        "pruner": {"name": pruner},
        "epochs": EPOCHS,
    }
    spec = type(file.spec).model_validate(data)
    return resolve_study(type(file)(spec, file.document), Catalogue(ROOT / "experiments"), "demo")


@contextmanager
def opened(study: TunedRow, trials: int, storage: str = "journal", *, memory: bool = False) -> Iterator[Study]:
    """A study in a temporary folder, in memory unless time is measured."""
    place = "/dev/shm" if memory and Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="rdc-tuning-", dir=place) as folder:
        root = Path(folder)
        url = f"sqlite:///{root}/trials.db" if storage == "sqlite" else None
        found = open_study(root / "runs", "benchmark", study, url)
        found.ask_for(trials)
        yield found
