"""Runs all checks, in the order of the report."""

from collections.abc import Iterator

from rdc_sweeps.doctor.cluster import examine_slurm
from rdc_sweeps.doctor.disk import examine_disk
from rdc_sweeps.doctor.findings import Finding
from rdc_sweeps.doctor.machine import examine_machine
from rdc_sweeps.doctor.software import examine_software
from rdc_sweeps.doctor.wandb_access import examine_wandb
from rdc_sweeps.settings import Settings


def examine(settings: Settings) -> Iterator[Finding]:
    """Check everything that could prevent a run from training here; yields each finding as soon as it is known."""
    yield from examine_software()
    yield from examine_machine()
    yield from examine_slurm(settings)
    yield from examine_disk("runs", settings.root)
    yield from examine_disk("cache", settings.cache_root)
    yield from examine_wandb(settings)
    try:
        from rdc_sweeps.doctor.tables import examine_tables
    except (ImportError, OSError) as error:
        # PyTorch or a related package is broken, which is already reported above.
        yield Finding("tables", "problem", f"cannot be checked: {' '.join(str(error).split())}")
        return
    yield from examine_tables(settings)
