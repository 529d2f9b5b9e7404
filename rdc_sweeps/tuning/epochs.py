"""The epochs of a run, for the trial or the baseline that it belongs to."""

from collections.abc import Sequence

from rdc_sweeps.errors import CheckpointError, SpecError
from rdc_sweeps.probing.record import headlines
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.training import ProbeSpec
from rdc_sweeps.training.observers import EpochRecord


def trained_epochs(directory: RunDirectory) -> list[EpochRecord]:
    """The epochs in a run's event log."""
    events = read_events(directory.events)
    return [EpochRecord.model_validate(event["record"]) for event in events if event["kind"] == "epoch"]


def finished_epochs(directory: RunDirectory) -> list[EpochRecord]:
    """The epochs of a finished run; none if it is not finished."""
    result = directory.result()
    return [EpochRecord.model_validate(record) for record in result.history] if result else []


def probed_epochs(
    history: Sequence[EpochRecord], spec: RunSpec, directory: RunDirectory, settings: Settings
) -> list[EpochRecord]:
    """The epochs of a finished run with the probes that a trial needs.

    A table or another study may have trained the run without probes, or with probes of other images, since these are no
    part of its identity. Then its checkpoint is probed, and the last epoch is returned alone.

    Args:
        history: All epochs of the run, at least one.
        spec: The run as the trial asks for it, with probes.
        directory: The run as it was trained.
        settings: Data roots, caches, device and threads.

    Raises:
        CheckpointError: There is no checkpoint to probe, or it is damaged.
    """
    wanted, trained = spec.training.probe, _recorded_probe(directory)
    if wanted is None or (history[-1].probe and trained is not None and trained.images == wanted.images):
        return list(history)
    if not directory.checkpoint.exists():
        raise CheckpointError(
            f"{directory.folder}: was trained without the probes of this study, and has no checkpoint to probe; move "
            "this folder away, so that the run is trained again, and repeat the command"
        )
    import torch

    from rdc_sweeps.training.checkpoints import load_checkpoint
    from rdc_sweeps.training.probes import probe_run

    state = load_checkpoint(directory.checkpoint, directory.id)
    assert state is not None  # it exists
    torch.set_num_threads(settings.threads or torch.get_num_threads())
    probes = probe_run(spec, state["learner"], settings, images=wanted.images)
    return [history[-1].model_copy(update={"probe": headlines(probes)})]


def _recorded_probe(directory: RunDirectory) -> ProbeSpec | None:
    """The probes of a run; None if it has none, or its spec is damaged, so that it is not known."""
    try:
        return directory.read_spec().training.probe
    except SpecError:
        return None
