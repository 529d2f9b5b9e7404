"""Probes of finished or running runs, as records that can be written, compared and rendered."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.dispatch.region_maps import ReportBuild
from rdc_sweeps.errors import UsageError
from rdc_sweeps.probing.record import Probe
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.document import Document, assignment, overlay
from rdc_sweeps.specs.method import MethodSpec
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.validation import build
from rdc_sweeps.training.checkpoints import kept_checkpoint, load_checkpoint, seen_epoch
from rdc_sweeps.training.probes import probe_run


class ProbedRun(BaseModel):
    """The probes of one run at one checkpoint.

    Attributes:
        format: Version of this record.
        run: Id of the run.
        title: Its table, row and seed.
        epoch: The last epoch that the checkpoint has seen, counted from 0.
        refit: Steps for which the term was trained afresh; None if it is that of the checkpoint.
        true_regions: Whether regions were made of all semantic labels, see `probe_run`.
        method: The method that was probed.
        probes: One for each of its terms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    run: str
    title: str
    epoch: int
    refit: int | None
    true_regions: bool = False
    method: dict[str, Any]
    probes: list[Probe]

    def of_term(self, name: str) -> Probe | None:
        """The probe of a term; None if the method has no such term."""
        return next((probe for probe in self.probes if probe.term == name), None)

    @classmethod
    def of(
        cls,
        directory: RunDirectory,
        settings: Settings,
        *,
        epoch: int | None = None,
        images: int = 48,
        refit: int | None = None,
        true_regions: bool = False,
        method: MethodSpec | None = None,
        changes: Sequence[str] = (),
        progress: ReportBuild = lambda *_: None,
    ) -> Self:
        """Probe a run; nothing in its directory changes.

        Args:
            directory: The run.
            settings: Data roots, caches and device.
            epoch: Whose weights to probe, among those that `training.keep_checkpoints` kept; None: the last checkpoint.
            images: At least so many training images, or all.
            refit: See `probe_run`; needed if the method is not the run's own.
            true_regions: See `probe_run`.
            method: Probe this method on the run's network; None: the run's own.
            changes: Fields of the method that differ, as `method.a.b=c`.
            progress: Told of region maps that are built.

        Raises:
            UsageError: There is no such checkpoint, or it does not fit.
            SpecError: The changed method is not valid.
        """
        own = directory.read_spec()
        spec = _changed(own, method, changes)
        if spec != own and refit is None:
            raise UsageError("a method other than the run's own has no trained term; train it with --refit STEPS")
        path = directory.checkpoint if epoch is None else kept_checkpoint(directory.checkpoint, epoch)
        state = load_checkpoint(path, directory.id)
        if state is None:
            raise UsageError(f"run {directory.id} has no {path.name}; {_checkpoints(directory)}")
        build_missing_regions([spec], settings, progress)
        origin = directory.origin()
        return cls(
            run=directory.id,
            title=f"{origin.table}/{origin.row} seed {own.seed}" if origin else f"seed {own.seed}",
            epoch=seen_epoch(state),
            refit=refit,
            true_regions=true_regions,
            method=spec.method.model_dump(mode="json"),
            probes=probe_run(spec, state["learner"], settings, images=images, refit=refit, true_regions=true_regions),
        )


def _changed(own: RunSpec, method: MethodSpec | None, changes: Sequence[str]) -> RunSpec:
    if method is not None:
        own = own.model_copy(update={"method": method})
    if not changes:
        return own
    document = Document(own.model_dump(mode="json"))
    for text in changes:
        if not text.startswith("method."):
            raise UsageError(f"--set {text}: a probe can change the method alone, as in --set method.pairs=sum")
        document = overlay(document, assignment(text))
    return build(RunSpec, document)


def _checkpoints(directory: RunDirectory) -> str:
    kept = sorted(int(path.stem.removeprefix("epoch-")) for path in directory.checkpoint.parent.glob("epoch-*.pt"))
    if kept:
        return f"epochs with kept weights: {', '.join(map(str, kept))}"
    return "training.keep_checkpoints chooses epochs whose weights are kept"


def common_terms(runs: Sequence[ProbedRun]) -> list[str]:
    """Names of the terms that all runs have, to compare them by."""
    first, *others = runs
    return [probe.term for probe in first.probes if all(run.of_term(probe.term) for run in others)]


def as_json(runs: Sequence[ProbedRun]) -> list[Mapping[str, Any]]:
    """The records as plain values."""
    return [run.model_dump(mode="json") for run in runs]
