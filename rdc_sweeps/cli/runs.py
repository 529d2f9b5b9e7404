"""run, show, and the hidden commands of Slurm jobs: worker and prepare."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rdc_sweeps.cli.console import build_progress, data, print_json, say, say_all
from rdc_sweeps.cli.options import (
    CompatOption,
    DeviceOption,
    ExperimentsOption,
    JsonOption,
    ProfileOption,
    RootOption,
    RowsArgument,
    SeedsOption,
    SetOption,
    TableArgument,
    find_run,
    resolve,
)
from rdc_sweeps.errors import DamagedError, SpecError
from rdc_sweeps.files import read_file
from rdc_sweeps.processes.environment import adopt_worker_environment, worker_environment
from rdc_sweeps.processes.garbage import lasting_imports
from rdc_sweeps.settings import load_settings, read_settings

if TYPE_CHECKING:
    from rdc_sweeps.runs.directory import RunDirectory
    from rdc_sweeps.runs.records import Failure, Origin, Result, Status
    from rdc_sweeps.runs.states import RunState


AnyRecord = TypeVar("AnyRecord")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command(hidden=True)(worker)
    app.command(hidden=True)(prepare)
    app.command()(show)


def run(
    table: TableArgument,
    rows: RowsArgument = None,
    profile: ProfileOption = None,
    seeds: SeedsOption = None,
    assignments: SetOption = None,
    compat: CompatOption = None,
    max_parallel: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of runs at once.", show_default=False)
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads per run.", show_default=False)] = None,
    device: DeviceOption = None,
    gpus_per_run: Annotated[float | None, typer.Option(help="GPUs per run.", show_default=False)] = None,
    executor: Annotated[str | None, typer.Option(help="local or slurm.", show_default=False)] = None,
    node: Annotated[str | None, typer.Option(help="Node profile for Slurm.", show_default=False)] = None,
    wandb: Annotated[str | None, typer.Option(help="online, offline or disabled.", show_default=False)] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Retry failed runs.")] = False,
    rerun: Annotated[
        bool,
        typer.Option("--rerun", help="Train again from the start; old run directories are kept under another name."),
    ] = False,
    keep_predictions: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Keep the predictions for N test images after the last epoch, for figures.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would be done.")] = False,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the rows of a table that are not done yet."""
    if keep_predictions is not None:
        assignments = [*(assignments or ()), f"training.keep_predictions.images={keep_predictions}"]
    resolved = resolve(
        table,
        rows,
        seeds,
        assignments,
        compat,
        profile=profile,
        root=root,
        experiments=experiments,
        max_parallel=max_parallel,
        threads=threads,
        device=device,
        gpus_per_run=gpus_per_run,
        executor=executor,
        node=node,
        wandb=wandb,
    )
    if dry_run:
        from rdc_sweeps.cli.dry_run import print_dry_run

        print_dry_run(resolved, retry_failed=retry_failed, rerun=rerun, as_json=as_json)
        return
    from rdc_sweeps.api import run_table
    from rdc_sweeps.cli.listening import ConsoleListener

    say_all(worker_environment().messages)
    listener = ConsoleListener(resolved.settings)
    if run_table(resolved, retry_failed=retry_failed, rerun=rerun, listener=listener):
        raise typer.Exit(1)


def worker(
    run_id: Annotated[str, typer.Argument(help="Id of a run that has a directory.", show_default=False)],
    root: RootOption = None,
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="JSON file that replaces all other settings.")
    ] = None,
) -> None:
    """Train one run in this process."""
    say_all(adopt_worker_environment())
    settings = read_settings(settings_file) if settings_file else load_settings(root=root)
    with lasting_imports():
        from rdc_sweeps.dispatch.worker import main

    main(run_id, settings)


def prepare(
    runs: Annotated[Path, typer.Argument(help="File with one run id per line.", show_default=False)],
    settings_file: Annotated[Path, typer.Option("--settings", help="JSON file of settings.", show_default=False)],
) -> None:
    """Compute the missing region maps of submitted runs; resumes if stopped."""
    say_all(adopt_worker_environment())
    settings = read_settings(settings_file)
    from rdc_sweeps.dispatch.inputs import build_for_submission

    with build_progress() as report:
        reports = build_for_submission(runs, settings, report)
    for title, built in reports.items():
        say(f"{title}: {built.built} built, {built.reused} already stored")


def show(
    run_id: Annotated[str, typer.Argument(help="Id of a run, or the first digits of one.", show_default=False)],
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the spec, state and results of one run."""
    settings = load_settings(root=root)
    directory = find_run(settings, run_id)
    state, damaged = directory.state(), directory.damaged()
    origin, status = _whole(directory.origin), _whole(directory.status)
    failure, result = _whole(directory.failure), _whole(directory.result)
    try:
        spec, problem = directory.read_spec(), None
    except SpecError as error:
        spec, problem = None, str(error)
    if as_json:
        records = {"origin": origin, "status": status, "failure": failure, "result": result}
        print_json(
            {
                "run": directory.id,
                "state": state,
                "folder": str(directory.folder),
                "spec": spec and spec.model_dump(mode="json"),
                **{name: record and record.model_dump(mode="json") for name, record in records.items()},
            }
        )
    else:
        _print_run(directory, state, origin, status, failure, result)
    for text in (*damaged.values(), problem):
        if text:
            say(text, style="red")


def _whole(read: Callable[[], AnyRecord | None]) -> AnyRecord | None:
    try:
        return read()
    except DamagedError:
        return None


def _print_run(
    directory: "RunDirectory",
    state: "RunState",
    origin: "Origin | None",
    status: "Status | None",
    failure: "Failure | None",
    result: "Result | None",
) -> None:
    if origin:
        data.print(f"{origin.table}/{origin.row} under profile {origin.profile}", highlight=False, markup=False)
    data.print(f"run {directory.id}: {state}, in {directory.folder}", highlight=False, markup=False)
    if status:
        data.print(f"step {status.step} of {status.steps}, epoch {status.epoch} of {status.epochs}", highlight=False)
    if failure and state == "failed":
        data.print(failure.traceback, markup=False, highlight=False)
    if result:
        for rule, selected in result.selected.items():
            if selected:
                numbers = ", ".join(
                    f"{name} {value:.4g}" for name, value in selected.metrics.items() if value is not None
                )
                data.print(f"{rule} (epoch {selected.epoch + 1} of {result.epochs}): {numbers}", highlight=False)
        data.print(f"{result.seconds:.0f} s on {result.device}", highlight=False, markup=False)
    with suppress(DamagedError, FileNotFoundError):
        data.print(read_file(directory.spec).decode(errors="replace"), markup=False, highlight=False)
