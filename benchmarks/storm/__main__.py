"""`python -m benchmarks.storm`: what signals, full disks and foreign hosts lose or double; exits with 1 if anything.

Trainings are simulated: the state after a step is a hash of the state before it, so that a run's files show whether a
step was lost, done twice or done with another state. Storms over real trainings are among the slow tests.
"""

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.storm.runs import RunStorm, storm_over_runs
from benchmarks.storm.studies import StudyStorm, new_study, storm_over_study

STORMS = (("one host", 1), ("two hosts without common locks", 2))


def line_of_runs(name: str, storm: RunStorm) -> str:
    """One storm over runs, as text."""
    disk = "no disk to fill" if storm.full is None else f"disk full {storm.full} times"
    return (
        f"{name}: {storm.signals} signals to workers, {storm.parents_killed} parents killed, {disk}, {storm.starts} "
        f"workers began; {storm.done} of {storm.runs} runs ended in the storm, {len(storm.problems)} problems"
    )


def line_of_study(storm: StudyStorm) -> str:
    """A storm over a study, as text."""
    return f"study: {storm.kills} workers killed, {storm.trials} trials finished, {len(storm.problems)} problems"


def main() -> None:
    """Run the storms, print a line for each, and every problem."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm", description=__doc__)
    parser.add_argument("--signals", type=int, default=500, help="signals to workers, per storm over runs")
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--json", type=Path, help="file for the results")
    chosen = parser.parse_args()
    results: dict[str, object] = {}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, hosts in STORMS:
            place = Path(folder) / f"hosts-{hosts}"
            place.mkdir()
            storm = storm_over_runs(place, signals=chosen.signals, runs=chosen.runs, hosts=hosts, seed=hosts)
            print(line_of_runs(name, storm), *storm.problems, sep="\n  ", flush=True)
            results[name], wrong = asdict(storm), wrong + storm.problems
        place = Path(folder) / "study"
        place.mkdir()
        study = storm_over_study(new_study(place, chosen.trials), None, trials=chosen.trials, kills=chosen.trials)
        print(line_of_study(study), *study.problems, sep="\n  ", flush=True)
        results["study"], wrong = asdict(study), wrong + study.problems
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
