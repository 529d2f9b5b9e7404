"""Groups of runs in every state, made up, for tests of what is shown of them."""

from rdc_sweeps.monitoring.groups import RunGroup
from rdc_sweeps.monitoring.views import RunView, Subject, Waiting
from rdc_sweeps.runs.records import Status
from rdc_sweeps.runs.states import ShownState


def status(step: int, *, rate: float | None = 2.0, **values: object) -> Status:
    """A heartbeat of a run of 1580 steps in 20 epochs."""
    return Status.model_validate(
        {
            "state": "training",
            "host": "node07",
            "process": 4711,
            "time": 0.0,
            "epoch": step // 79,
            "epochs": 20,
            "step": step,
            "steps": 1580,
            "rate": rate,
            "device": "NVIDIA A100-SXM4-80GB",
            **values,
        }
    )


def view(row: str, state: ShownState, seen: Status | None = None, seed: int = 0, **known: object) -> RunView:
    subject = Subject(f"{row}-{seed}", "table3", row, "paper", seed, steps=1580)
    return RunView(subject, state, seen, **known)  # type: ignore[arg-type]


METRICS = {"mIoU": 41.234, "aErr": 0.51234, "aErr_released": 0.49, "mErr": 27.5, "mErr_released": 9.1}
LOST = "DivergenceError: the loss is nan at step 812 of the training; lower training.network.learning_rate"


def table() -> list[RunGroup]:
    """Every state; long names; a run that has just started."""
    views = [
        view("one-patch-vector", "done", status(1580, metrics=METRICS)),
        view("one-patch-pixel", "running", status(790, metrics=METRICS, values={"loss": 1.2345}, job="123_4")),
        view("one-patch-pixel", "running", status(0, rate=None, state="starting", steps=0, epochs=0), seed=1),
        view("one-patch-gaussian", "queued", waiting=Waiting("123_5", "Priority")),
        view("one-region-vector", "queued", status(400, job="122_0"), waiting=Waiting("122_0", "BeginTime")),
        view("one-region-pixel", "preempted", status(1579, metrics={"mIoU": None})),
        view("one-region-gaussian", "failed", status(812, metrics=METRICS), cause=LOST),
        view("rand-patch-vector", "cancelled", status(79), cause="by ada on login1"),
        view("rand-patch-pixel", "pruned", status(158), cause="median of 7 trials"),
        view("rand-region-gaussian", "planned"),
    ]
    return [RunGroup("table3 under profile paper", views)]


def studies() -> list[RunGroup]:
    """Groups of a runs folder: names without seeds, and runs that are only counted."""
    trials = [
        RunView(Subject(f"{number}", "table3", "r", "cpu", None, "tau", number), "running", status(79 * number))
        for number in (3, 12)
    ]
    return [RunGroup("study tau", trials), RunGroup("table1 under profile cpu", [], {"done": 10_000})]
