"""Region maps computed by the jobs of a scheduler."""

from collections.abc import Iterable

from rdc_sweeps.dispatch.executors import Executor, Workers
from rdc_sweeps.dispatch.region_maps import open_maps
from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.maps import MapsSpec


def submit_builds(wanted: Iterable[MapsSpec], shards: int, executor: Executor) -> None:
    """Submit an array of jobs for the maps of each data set or folder; the executor's listener is told of them.

    Raises:
        UsageError: The executor starts nothing elsewhere.
        UnavailableError: The scheduler does not answer or refuses.
        RdcError: Images or weights are missing.
    """
    if executor.waits:
        raise UsageError(
            "--shards submits jobs and needs --executor slurm; on this machine, start several commands with --shard "
            "0/N to N-1/N"
        )
    wanted = [maps.model_copy(update={"images": maps.images and maps.images.absolute()}) for maps in wanted]
    for maps in wanted:
        open_maps(maps, executor.settings, "cpu")
    for maps in wanted:
        command = ("regions", "build", *maps.words(), "--shard", f"task/{shards}")
        # Maps of other settings have the same title.
        about = " ".join(command)
        executor.start_workers(Workers(about, (), shards, shards, lambda *_: (), command))
