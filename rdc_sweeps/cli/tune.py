"""tune: a study of a row's configurations, and what its choice is worth."""

import time
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rdc_sweeps.cli.console import data, messages, print_json
from rdc_sweeps.cli.listening import ConsoleListener
from rdc_sweeps.cli.options import (
    ExperimentsOption,
    JsonOption,
    ProfileOption,
    RootOption,
    open_catalogue,
    parse_seeds,
)
from rdc_sweeps.cli.study_workers import submit_workers
from rdc_sweeps.dispatch.executors import executor_for
from rdc_sweeps.errors import UsageError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings, load_settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.document import Document
from rdc_sweeps.specs.study import StudySpec
from rdc_sweeps.specs.validation import build
from rdc_sweeps.tuning.tuned_row import StudyFile, TunedRow, confirmation_runs, find_study, needed_runs, resolve_study

if TYPE_CHECKING:
    from rdc_sweeps.tuning.study import Study
    from rdc_sweeps.tuning.study_report import StudyReport

EXTRA = ("optuna", "jinja2")
"""Packages of the extra `tune`."""

HTML = "report.html"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tune)


def tune(
    study: Annotated[str, typer.Argument(help="Name of a study, or a path to its YAML file.")] = "covariance",
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Trials that the study is to have; default: the file's.", show_default=False),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="postgresql://... or sqlite:///...; default: a journal.", show_default=False),
    ] = None,
    table: Annotated[str | None, typer.Option(help="Another table than the study's.", show_default=False)] = None,
    row: Annotated[str | None, typer.Option(help="Another row than the study's.", show_default=False)] = None,
    profile: ProfileOption = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="a.b=c", help="Change a field in all trials.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--study", metavar="NAME", help="Name of its folder; default: STUDY-PROFILE.", show_default=False),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds of each trial, such as 0,1; default: the file's.", show_default=False)
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at once.", show_default=False)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads a trial.", show_default=False)] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.", show_default=False)] = None,
    gpus_per_run: Annotated[float | None, typer.Option(help="GPUs a trial.", show_default=False)] = None,
    executor: Annotated[str | None, typer.Option(help="local or slurm.", show_default=False)] = None,
    node: Annotated[str | None, typer.Option(help="Profile of Slurm nodes.", show_default=False)] = None,
    wandb: Annotated[str | None, typer.Option(help="online, offline or disabled.", show_default=False)] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm/--no-confirm", help="Train the choice with the seeds that confirm.")
    ] = True,
    only_report: Annotated[bool, typer.Option("--report", help="Only show and draw what there is.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would be done.")] = False,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tune a row by trials, and measure the choice on test images.

    Trials are measured on held-out training images, the choice with other seeds.
    """
    settings = load_settings(
        profile=profile,
        root=root,
        experiments=experiments,
        threads=threads,
        device=device,
        gpus_per_run=gpus_per_run,
        executor=executor,
        node=node,
        wandb=wandb,
    )
    catalogue = open_catalogue(settings)
    file = _with_seeds(find_study(study), seeds)
    folder_name = name or f"{file.spec.study}-{settings.profile}"
    _check_name(folder_name)
    if only_report:
        _require_extra()
        from rdc_sweeps.tuning.study import load_study

        _report(load_study(settings.root, folder_name, storage), catalogue, as_json=as_json)
        return
    tuned = resolve_study(file, catalogue, settings.profile, table=table, row=row, settings=assignments or ())
    wanted = trials or tuned.spec.trials
    if tuned.spec.confirm:
        # What could not be trained in the end is said before anything is.
        confirmation_runs(tuned, catalogue, tuned.own_values)
    if dry_run:
        _print_plan(tuned, folder_name, wanted, storage, settings, as_json=as_json)
        return
    _require_extra()
    from rdc_sweeps.tuning.study import open_study
    from rdc_sweeps.tuning.summary import summarise

    opened = open_study(settings.root, folder_name, tuned, storage)
    wanted = opened.ask_for(wanted)
    on_slurm = not executor_for(settings).waits
    missing = wanted - summarise(opened).finished
    if missing <= 0:
        messages.print(f"all of {wanted} trials are finished", highlight=False)
    elif on_slurm:
        submit_workers(opened, catalogue, settings, missing, workers)
    else:
        _train(opened, catalogue, settings, missing, workers, storage)
    unconfirmed = _confirm(opened, catalogue, settings) if confirm else []
    report = _report(opened, catalogue, as_json=as_json)
    if (report.summary.finished < wanted and not on_slurm) or unconfirmed:
        raise typer.Exit(1)


def _with_seeds(file: StudyFile, seeds: str | None) -> StudyFile:
    if seeds is None:
        return file
    document = file.document
    changed = Document({**document.data, "seeds": parse_seeds(seeds)}, {**document.places, ("seeds",): "--seeds"})
    return StudyFile(build(StudySpec, changed), changed)


def _check_name(name: str) -> None:
    """A name is a folder's, and may lead nowhere else."""
    if name in {"", ".", ".."} or any(character in name for character in "/\\\0"):
        raise UsageError(f"--study {name!r}: must be a plain name, such as covariance-2")


def _require_extra() -> None:
    missing = [package for package in EXTRA if find_spec(package) is None]
    if missing:
        raise UsageError(f"tuning needs {', '.join(missing)}: pip install 'rdc-sweeps[tune]'")


def _print_plan(
    tuned: TunedRow, name: str, asked: int, storage: str | None, settings: Settings, *, as_json: bool
) -> None:
    """What a study is and how far it has come; nothing is created."""
    from rdc_sweeps.tuning.plan import plan_study
    from rdc_sweeps.tuning.texts import range_text, value_text, values_text

    finished = 0
    if (settings.root / "studies" / name / "study.yaml").exists():
        _require_extra()
        from rdc_sweeps.tuning.study import open_study
        from rdc_sweeps.tuning.summary import summarise

        finished = summarise(open_study(settings.root, name, tuned, storage)).finished
    plan, spec = plan_study(tuned, name, asked, finished), tuned.spec
    if as_json:
        print_json(plan.to_data())
        return
    data.print(f"study {name}: {spec.title}", highlight=False, markup=False, soft_wrap=True)
    shown = Table(box=None, pad_edge=False)
    for column in ("field", "range", "the row's own"):
        shown.add_column(column, overflow="fold")
    for path, drawn in spec.space.items():
        shown.add_row(path, range_text(drawn), value_text(tuned.own_values[path]))
    data.print(shown)

    def states(runs: Mapping[int, str]) -> str:
        found = (f"seed {seed} {run} {RunDirectory(settings.root, run).state()}" for seed, run in runs.items())
        return ", ".join(found)

    lines = [
        f"tuned: {spec.table}/{spec.row} under profile {tuned.profile}",
        f"trials: {tuned.run.training.epochs} epochs with seed {', '.join(map(str, spec.seeds))}, {spec.sampler.name} "
        f"sampler, {spec.pruner.name} pruner",
        f"measured on: {tuned.run.dataset.validation_images} images held out of the training split",
    ]
    if plan.baseline:
        lines.append(f"baseline: {tuned.baseline_row}: {states(plan.baseline)}")
    lines += [f"tried first: {values_text(one.values)}: {states(one.runs)}" for one in plan.tried_first]
    if spec.confirm:
        lines.append(f"confirmed with: seeds {', '.join(map(str, spec.confirm))}")
    for line in lines:
        data.print(line, highlight=False, markup=False, soft_wrap=True)
    messages.print(f"{asked} trials asked, {finished} finished, {plan.to_do} to do", highlight=False, markup=False)


def _train(
    study: "Study", catalogue: Catalogue, settings: Settings, missing: int, workers: int | None, storage: str | None
) -> None:
    """Train the trials that are missing, on this machine."""
    from rdc_sweeps.cli.console import build_progress
    from rdc_sweeps.cli.studies import watching
    from rdc_sweeps.dispatch.local import slots
    from rdc_sweeps.dispatch.preparation import prepare
    from rdc_sweeps.tuning.study_workers import work_in_pool

    with build_progress() as progress:
        gpus = prepare(needed_runs(study.tuned, catalogue), settings, progress)
    chosen = settings.model_copy(update={"max_parallel": workers or settings.max_parallel})
    at_once = slots(missing, chosen, gpus)
    where = f"{gpus} GPUs" if gpus else "the CPU"
    messages.print(
        f"study {study.name}: {missing} of {study.asked} trials to do; {at_once.runs} workers on {where}, "
        f"{at_once.threads} threads each",
        highlight=False,
        markup=False,
    )
    begun = time.time()
    with watching(study, messages) as watch:
        codes = work_in_pool(
            settings.root,
            study.name,
            settings.model_copy(update={"threads": at_once.threads}),
            study.asked,
            workers=at_once.runs,
            gpus=gpus,
            storage=storage,
            watch=watch,
        )
    if any(codes):
        _say_why(study, begun)


def _say_why(study: "Study", begun: float) -> None:
    """The last error in the log of each worker since then."""
    logs = [path for path in study.folder.workers.glob("*.log") if path.stat().st_mtime >= begun]
    found: dict[str, Path] = {}
    for log in sorted(logs, key=lambda path: path.stat().st_mtime):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line.partition(" ERROR ")[2] for line in lines if " ERROR " in line]
        found.update({errors[-1]: log} if errors else {})
    for error, log in found.items():
        messages.print(f"a worker ended early: {error}", style="red", highlight=False, markup=False)
        messages.print(f"  more in {log}", highlight=False, markup=False)


def _confirm(study: "Study", catalogue: Catalogue, settings: Settings) -> list[str]:
    """Train the choice, the row as it is and their baseline with the seeds that confirm; returns runs not done."""
    from rdc_sweeps.dispatch.plan import plan
    from rdc_sweeps.tuning.study_report import chosen_runs
    from rdc_sweeps.tuning.summary import summarise

    summary = summarise(study)
    if summary.finished < summary.asked:
        return []
    runs = chosen_runs(study.tuned, summary, catalogue)
    if not runs:
        return []
    look = partial(plan, runs, settings.root)
    messages.print(
        f"confirming trial {summary.best.number if summary.best else ''} with seeds "
        f"{', '.join(map(str, study.tuned.spec.confirm))}, beside the row as it is",
        highlight=False,
    )
    return executor_for(settings, ConsoleListener(settings)).execute(look)


def _report(study: "Study", catalogue: Catalogue, *, as_json: bool) -> "StudyReport":
    """Draw the plots, write the HTML report and print what was found."""
    from rich.console import Console

    from rdc_sweeps.tuning.figures import draw_figures, write_figures
    from rdc_sweeps.tuning.study_html import write_html
    from rdc_sweeps.tuning.study_report import build_study_report
    from rdc_sweeps.tuning.study_terminal import print_study

    report = build_study_report(study, catalogue)
    figures = draw_figures(report.summary, report.tuned.spec.space)
    files = [path.name for path in write_figures(figures, report.folder)]
    write_html(report, figures, report.folder / HTML)
    files.append(HTML)
    if as_json:
        print_json({**report.to_data(), "files": files})
    else:
        wide = data if data.is_terminal else Console(file=data.file, width=120, color_system=None)
        print_study(report, wide, files)
    return report
