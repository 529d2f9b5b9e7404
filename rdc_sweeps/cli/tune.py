"""tune, study-worker: tune a row in a study, and evaluate the chosen configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from rdc_sweeps.api import tune_requested
from rdc_sweeps.cli.console import data, print_json, say, say_all
from rdc_sweeps.cli.options import DeviceOption, ExperimentsOption, JsonOption, ProfileOption, RootOption, parse_seeds
from rdc_sweeps.cli.study_listening import StudyConsoleListener
from rdc_sweeps.processes.environment import adopt_worker_environment, worker_environment
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import load_settings, read_settings
from rdc_sweeps.texts import TextConsole
from rdc_sweeps.tuning.study_request import StudyPlan, plan_study, request_study
from rdc_sweeps.tuning.study_run import StudyResult, show_study
from rdc_sweeps.tuning.texts import measured_on, objective_name, objective_title, range_text, value_text, values_text


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(tune)
    app.command(name="study-worker", hidden=True)(study_worker)


def tune(
    study: Annotated[str, typer.Argument(help="Name of a study, or a path to its YAML file.")] = "covariance",
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Total number of trials; default: the file's.", show_default=False),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="postgresql://... or sqlite:///...; default: a journal.", show_default=False),
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="Tune a row of this table; default: the study's.", show_default=False)
    ] = None,
    row: Annotated[str | None, typer.Option(help="Tune this row; default: the study's.", show_default=False)] = None,
    profile: ProfileOption = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="a.b=c", help="Set a field in all trials.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--study", metavar="NAME", help="Name of the study's folder; default: STUDY-PROFILE.", show_default=False
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds of each trial, such as 0,1; default: the file's.", show_default=False)
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of trials at once.", show_default=False)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads per trial.", show_default=False)] = None,
    device: DeviceOption = None,
    gpus_per_run: Annotated[float | None, typer.Option(help="GPUs per trial.", show_default=False)] = None,
    executor: Annotated[str | None, typer.Option(help="local or slurm.", show_default=False)] = None,
    node: Annotated[str | None, typer.Option(help="Node profile for Slurm.", show_default=False)] = None,
    wandb: Annotated[str | None, typer.Option(help="online, offline or disabled.", show_default=False)] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm/--no-confirm", help="Train the chosen configuration with the confirmation seeds.")
    ] = True,
    only_report: Annotated[bool, typer.Option("--report", help="Only report existing trials; train nothing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would be done.")] = False,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tune a row over trials, and test the best one on test images.

    Trials are evaluated on held-out training images; the best one is trained again with other seeds.
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
    if only_report:
        _print_result(show_study(study, settings, storage=storage, name=name), as_json=as_json)
        return
    request = request_study(
        study,
        settings,
        trials=trials,
        storage=storage,
        table=table,
        row=row,
        name=name,
        seeds=parse_seeds(seeds),
        changes=assignments or (),
    )
    if dry_run:
        _print_plan(plan_study(request), settings.root, as_json=as_json)
        return
    say_all(worker_environment().messages)
    result = tune_requested(request, workers=workers, confirm=confirm, listener=StudyConsoleListener(settings))
    _print_result(result, as_json=as_json)
    if not result.complete:
        raise typer.Exit(1)


def _print_plan(plan: StudyPlan, root: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(plan.to_data())
        return
    tuned, spec = plan.tuned, plan.tuned.spec
    data.print(f"study {plan.name}: {spec.title}", highlight=False, markup=False, soft_wrap=True)
    shown = Table(box=None, pad_edge=False)
    for column in ("field", "range", "the row's own"):
        shown.add_column(column, overflow="fold")
    for path, drawn in spec.space.items():
        shown.add_row(path, range_text(drawn), value_text(tuned.own_values[path]))
    data.print(shown)

    def states(runs: Mapping[int, str]) -> str:
        return ", ".join(f"seed {seed} {run} {RunDirectory(root, run).state()}" for seed, run in runs.items())

    lines = [
        f"tuned: {spec.table}/{spec.row} under profile {tuned.profile}",
        f"trials: {tuned.run.length.epochs} epochs with seed {', '.join(map(str, spec.seeds))}, {spec.sampler.name} "
        f"sampler, {spec.pruner.name} pruner",
        f"objective: {objective_title(objective_name(spec.objective, tuned.baseline_row))}",
        f"measured on: {measured_on(spec.objective, tuned.run)}",
    ]
    if plan.baseline:
        lines.append(f"baseline: {tuned.baseline_row}: {states(plan.baseline)}")
    lines += [f"tried first: {values_text(one.values)}: {states(one.runs)}" for one in plan.tried_first]
    if spec.confirm:
        lines.append(f"confirmed with: seeds {', '.join(map(str, spec.confirm))}")
    for line in lines:
        data.print(line, highlight=False, markup=False, soft_wrap=True)
    say(f"{plan.asked} trials requested, {plan.finished} finished, {plan.to_do} to do")


def _print_result(result: StudyResult, *, as_json: bool) -> None:
    from rdc_sweeps.tuning.study_terminal import print_study

    if as_json:
        print_json(result.to_data())
    else:
        wide = data if data.is_terminal else TextConsole(file=data.file, width=120, color_system=None)
        print_study(result.report, wide, result.files)


def study_worker(
    name: Annotated[str, typer.Argument(help="Name of a study that exists.", show_default=False)],
    settings_file: Annotated[Path, typer.Option("--settings", help="JSON file of settings.", show_default=False)],
    trials: Annotated[int, typer.Option(help="Total number of trials.", show_default=False)],
) -> None:
    """Run trials of a study in this process until all are finished."""
    say_all(adopt_worker_environment())
    from rdc_sweeps.tuning.study_workers import enter_slurm_worker

    settings = read_settings(settings_file)
    enter_slurm_worker(settings.root, name, settings, trials)
