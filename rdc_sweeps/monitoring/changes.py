"""Changes of runs since they were last shown, as lines of text."""

from collections.abc import Iterable, Sequence

from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS
from rdc_sweeps.monitoring.views import RunView


class RunChanges:
    """Describes a run whenever its state or epoch has changed.

    Args:
        known: Runs that have been shown already; they are described again when they change.
    """

    def __init__(self, known: Iterable[RunView] = ()) -> None:
        self._shown = {view.subject.run: _shown(view) for view in known}

    def lines(self, views: Sequence[RunView]) -> list[str]:
        """A line for each run that has changed since the last call."""
        changed = [view for view in views if self._shown.get(view.subject.run) != _shown(view)]
        self._shown.update((view.subject.run, _shown(view)) for view in changed)
        return [describe(view) for view in changed]


def describe(view: RunView) -> str:
    """A run in one line: state, epoch, metrics, and why it has stopped."""
    status = view.status
    parts = [f"{view.subject.title}: {view.state}"]
    if status and status.epochs:
        parts.append(f"epoch {status.epoch} of {status.epochs}")
    if status and view.state in {"running", "done"}:
        found = ((name, status.metrics.get(name)) for name in MAIN_METRICS)
        parts += [f"{name} {METRICS[name].text(value)}" for name, value in found if value is not None]
    return ", ".join(parts) + (f": {view.cause}" if view.cause else "")


def _shown(view: RunView) -> tuple[str, int]:
    return view.state, view.status.epoch if view.status else 0
