"""Dry runs: what would be done, why, and the estimated time."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from rdc_sweeps import api
from rdc_sweeps.cli.console import data, print_json, say
from rdc_sweeps.dispatch.comparison import other_counts
from rdc_sweeps.dispatch.estimate import Estimate, estimates
from rdc_sweeps.dispatch.executors import executor_for
from rdc_sweeps.dispatch.plan import Planned
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.texts import NATURAL_WIDTH


def print_dry_run(table: api.Table, *, retry_failed: bool, rerun: bool, as_json: bool) -> None:
    """Print every run with its action and reason, then counts, the estimated cost and the job files."""
    executor = executor_for(table.settings)
    try:
        planned = api.plan(table, retry_failed=retry_failed, rerun=rerun)
    except UnavailableError as error:
        say(f"cannot list queued jobs: {error}", style="yellow")
        planned = api.plan(table, retry_failed=retry_failed, rerun=rerun, queue=False)
    found = estimates(planned, executor.worker_settings)
    if as_json:
        print_json([_as_json(one, found.get(one.run.id)) for one in planned])
        return
    for text, refused in other_counts([one.run for one in planned], table.settings):
        say(f"{text}: `run` refuses it under this profile" if refused else text, style="red" if refused else "yellow")
    whole = _table(planned, folded=False)
    fits = data.measure(whole, options=data.options.update(width=NATURAL_WIDTH)).minimum <= data.width
    data.print(whole if fits else _table(planned, folded=True))
    for line in summary(planned, found):
        say(line)
    for text in executor.job_files(planned):
        data.file.write("\n" + text)


def _table(planned: Sequence[Planned], *, folded: bool) -> Table:
    """A line per run; if `folded`, rows' names and ids may be broken too, on a terminal too narrow for them."""
    shown = Table(box=None, pad_edge=False)
    for column in ("row", "seed", "run", "state", "action", "steps", "reason"):
        right, whole = column in {"seed", "steps"}, column != "reason" and not folded
        shown.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=whole)
    for one in planned:
        cells = (one.run.row.id, str(one.run.spec.seed), one.run.id, one.state, one.action, str(one.steps), one.reason)
        shown.add_row(*map(Text, cells))
    return shown


def summary(planned: Sequence[Planned], found: Mapping[str, Estimate]) -> list[str]:
    """Counts, and estimated GPU-hours or core-hours by device."""
    counts = Counter(map(_kind, planned))
    todo = [one for one in planned if one.action != "skip"]
    by_kind = ", ".join(f"{number} {state}" for state, number in counts.items())
    lines = [
        f"{len(planned)} runs: {by_kind}",
        f"{len(todo)} of {len(planned)} runs to do, {sum(one.steps for one in todo)} steps",
    ]
    for device, by_runs in dict.fromkeys((one.device, one.measured > 0) for one in found.values()):
        some = [one for one in found.values() if (one.device, one.measured > 0) == (device, by_runs)]
        unit, hours = "core" if device == "cpu" else "GPU", sum(one.hours for one in some)
        source = "similar runs" if by_runs else "a benchmark"
        lines.append(f"about {_number(hours)} {unit}-hours on {device} for {len(some)} runs, estimated from {source}")
    unknown = len(todo) - len(found)
    if unknown:
        lines.append(f"no estimate for {unknown} runs: this runs folder has no similar finished runs")
    return lines


def _kind(one: Planned) -> str:
    if one.action == "skip" and one.state not in {"done", "failed", "running"}:
        # The run has a Slurm job.
        return "queued"
    return "new" if one.state == "planned" else one.state


def _number(hours: float) -> str:
    return f"{hours:.2g}" if hours < 10 else f"{hours:.0f}"


def _as_json(one: Planned, estimate: Estimate | None) -> dict[str, object]:
    return {
        "table": one.run.table.table,
        "row": one.run.row.id,
        "seed": one.run.spec.seed,
        "run": one.run.id,
        "state": one.state,
        "action": one.action,
        "reason": one.reason,
        "steps": one.steps,
        "estimate": estimate
        and {
            "seconds": estimate.seconds,
            "device": estimate.device,
            "gpu_hours": None if estimate.device == "cpu" else estimate.hours,
            "core_hours": estimate.hours if estimate.device == "cpu" else None,
            "measured_runs": estimate.measured,
        },
    }
