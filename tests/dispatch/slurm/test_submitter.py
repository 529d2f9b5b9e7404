import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rdc_sweeps.dispatch.plan import Planned, plan
from rdc_sweeps.dispatch.slurm.queue import cancel, queued
from rdc_sweeps.dispatch.slurm.submissions import SubmissionDirectory, submission_lock, submissions
from rdc_sweeps.dispatch.slurm.submitter import queued_workers, submit, submit_command, with_queue
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Failure
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Run
from tests.dispatch.slurm.scheduler import Scheduler
from tests.runs.writing import write_failure

Look = Callable[[], list[Planned]]

SUBMITTER = """
import sys
from functools import partial
from pathlib import Path
from rdc_sweeps.dispatch.plan import plan
from rdc_sweeps.dispatch.slurm.submitter import submit
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue

settings = Settings(root=Path(sys.argv[1]), cache_root=Path(sys.argv[1]) / "cache", executor="slurm")
runs = Catalogue(experiments_folder(settings)).runs("table3", "paper", seeds=[0])
print(sum(one.runs for one in submit(partial(plan, runs, settings.root), settings, prepare=False, rerun=False).arrays))
"""


def start(root: Path) -> subprocess.Popen[str]:
    """Another process that submits the same table."""
    return subprocess.Popen([sys.executable, "-c", SUBMITTER, str(root)], stdout=subprocess.PIPE, text=True)


def submitted(scheduler: Scheduler) -> list[str]:
    """The runs of all jobs that the scheduler accepted."""
    return [
        run_id
        for job in scheduler.jobs().values()
        if "array" in job["options"]
        for run_id in (Path(job["file"]).parent / "runs.txt").read_text().split()
    ]


def refuse_after(scheduler: Scheduler, jobs: int) -> None:
    """The number of jobs that the cluster accepts from this user."""
    scheduler.behave("job-limit", str(jobs))


def test_a_table_becomes_one_array_and_is_not_submitted_twice(
    scheduler: Scheduler, settings: Settings, look: Look, table: list[Run]
) -> None:
    first = submit(look, settings, prepare=False, rerun=False)
    assert [one.runs for one in first.arrays] == [12]
    assert first.arrays[0].job == "1000"
    assert submitted(scheduler) == [run.id for run in table]
    assert {RunDirectory(settings.root, run.id).state() for run in table} == {"planned"}
    jobs = queued(settings.root)
    assert [jobs[run.id].job_id for run in table] == [f"1000_{task}" for task in range(12)]
    assert jobs[table[0].id].reason == "Resources"
    again = submit(look, settings, prepare=False, rerun=False)
    assert again.arrays == []
    assert {one.reason for one in again.planned} >= {"Slurm job 1000_0 (PENDING, Resources)"}
    assert len(scheduler.calls("sbatch")) == 1


def test_only_what_has_no_job_any_more_is_submitted_again(
    scheduler: Scheduler, settings: Settings, look: Look, table: list[Run]
) -> None:
    submit(look, settings, prepare=False, rerun=False)
    scheduler.set_state("1000", 3, "TIMEOUT")
    scheduler.set_state("1000", 5, "CANCELLED by 1000")
    scheduler.set_state("1000", 6, "RUNNING")
    shown = with_queue(look(), settings.root)
    assert [one.reason for one in shown if one.action != "skip"] == [
        "new; Slurm job 1000_3 has ended (TIMEOUT)",
        "new; Slurm job 1000_5 has ended (CANCELLED)",
    ]
    again = submit(look, settings, prepare=False, rerun=False)
    assert [one.runs for one in again.arrays] == [2]
    jobs = queued(settings.root)
    assert (jobs[table[3].id].job_id, jobs[table[5].id].job_id) == ("1001_0", "1001_1")
    assert jobs[table[6].id].state == "RUNNING"
    assert {one.action for one in with_queue(look(), settings.root)} == {"skip"}


def test_without_accounts_lost_runs_are_known_all_the_same(
    scheduler: Scheduler, settings: Settings, look: Look
) -> None:
    submit(look, settings, prepare=False, rerun=False)
    scheduler.finish_all()
    scheduler.behave("fail-sacct", "Slurm accounting storage is disabled")
    shown = with_queue(look(), settings.root)
    assert [one.reason for one in shown] == [f"new; Slurm job 1000_{task} has ended" for task in range(12)]


def test_cancelling_ends_single_tasks(scheduler: Scheduler, settings: Settings, look: Look, table: list[Run]) -> None:
    submit(look, settings, prepare=False, rerun=False)
    jobs = queued(settings.root)
    cancel([jobs[table[1].id], jobs[table[4].id]])
    assert scheduler.calls("scancel") == [["1000_1", "1000_4"]]
    assert set(jobs) - set(queued(settings.root)) == {table[1].id, table[4].id}


def test_arrays_respect_the_limit_of_the_cluster(
    scheduler: Scheduler, settings: Settings, look: Look, table: list[Run]
) -> None:
    scheduler.behave("max-array-size", "5")
    done = submit(look, settings, prepare=False, rerun=False)
    assert [one.runs for one in done.arrays] == [5, 5, 2]
    assert [job["options"]["array"] for job in scheduler.jobs().values()] == ["0-4%5", "0-4%5", "0-1%2"]
    assert submitted(scheduler) == [run.id for run in table]
    assert len(queued(settings.root)) == 12


def test_missing_region_maps_are_computed_first(scheduler: Scheduler, settings: Settings, look: Look) -> None:
    done = submit(look, settings, prepare=True, rerun=False)
    assert done.preparation is not None
    first, second = scheduler.jobs().values()
    assert "array" not in first["options"]
    assert first["options"]["gres"] == "gpu:a100:1"
    assert second["options"]["dependency"] == "afterok:1000"
    assert second["options"]["kill-on-invalid-dep"] == "yes"
    assert len(queued(settings.root)) == 12
    assert submit(look, settings, prepare=True, rerun=False).arrays == []


def test_runs_whose_preparation_failed_say_so(scheduler: Scheduler, settings: Settings, look: Look) -> None:
    done = submit(look, settings, prepare=True, rerun=False)
    assert done.preparation is not None
    scheduler.finish_all("CANCELLED")
    preparation = SubmissionDirectory(settings.root, done.preparation.id)
    said = with_queue(look(), settings.root)[0].reason
    assert said.startswith("new; Slurm job 1001_0 has ended (no region maps: the job that computes them failed, see ")
    assert str(preparation.log) in said
    preparation.prepared.touch()
    assert with_queue(look(), settings.root)[0].reason == "new; Slurm job 1001_0 has ended (CANCELLED)"


def test_a_refused_array_takes_its_preparation_along(scheduler: Scheduler, settings: Settings, look: Look) -> None:
    refuse_after(scheduler, 1)
    with pytest.raises(UnavailableError, match="QOSMaxSubmitJob\n0 of 12 runs were submitted"):
        submit(look, settings, prepare=True, rerun=False)
    assert scheduler.calls("scancel") == [["1000"]]
    assert queued(settings.root) == {}


def test_a_refusal_leaves_nothing_behind(
    scheduler: Scheduler, settings: Settings, look: Look, table: list[Run]
) -> None:
    broken = RunDirectory(settings.root, table[2].id)
    failure = Failure(cause="diverged", traceback="", time=1.0, host="node")
    write_failure(broken, failure)
    scheduler.behave("fail-sbatch", "Batch job submission failed: Invalid account or account/partition combination")
    retrying = [*look()]
    assert retrying[2].action == "skip"
    with pytest.raises(UnavailableError, match=r"Invalid account.*\n0 of 12 runs were submitted") as raised:
        submit(lambda: plan(table, settings.root, retry_failed=True), settings, prepare=False, rerun=False)
    assert raised.value.exit_code == 5
    assert submissions(settings.root) == []
    assert broken.failure() == failure
    scheduler.behave_well()
    assert [one.runs for one in submit(look, settings, prepare=False, rerun=False).arrays] == [11]


def test_what_was_accepted_before_a_refusal_stays(scheduler: Scheduler, settings: Settings, look: Look) -> None:
    scheduler.behave("max-array-size", "5")
    refuse_after(scheduler, 1)
    with pytest.raises(UnavailableError, match="QOSMaxSubmitJob\n5 of 12 runs were submitted"):
        submit(look, settings, prepare=False, rerun=False)
    assert len(queued(settings.root)) == 5
    refuse_after(scheduler, 9)
    assert [one.runs for one in submit(look, settings, prepare=False, rerun=False).arrays] == [5, 2]


def test_an_accepted_job_whose_answer_was_lost_is_found(scheduler: Scheduler, settings: Settings, look: Look) -> None:
    scheduler.behave("lose-answer", "Unable to contact slurm controller (connect failure)")
    done = submit(look, settings, prepare=False, rerun=False)
    assert [one.job for one in done.arrays] == ["1000"]
    assert len(queued(settings.root)) == 12


@pytest.mark.parametrize("command", ["squeue", "scontrol"])
def test_nothing_is_submitted_while_slurm_does_not_answer(
    scheduler: Scheduler, settings: Settings, look: Look, command: str
) -> None:
    scheduler.behave("max-array-size", "5")
    submit(look, settings, prepare=False, rerun=False)
    scheduler.set_state("1000", 0, "FAILED")
    scheduler.behave(f"fail-{command}", "Unable to contact slurm controller")
    with pytest.raises(UnavailableError, match=f"{command}: .*Unable to contact"):
        submit(look, settings, prepare=False, rerun=False)
    assert len(scheduler.calls("sbatch")) == 3


def test_a_brief_outage_is_waited_out(scheduler: Scheduler, settings: Settings, look: Look) -> None:
    submit(look, settings, prepare=False, rerun=False)
    scheduler.behave("fail-squeue", "Socket timed out", times=2)
    assert len(queued(settings.root)) == 12


def test_an_answer_that_is_not_understood_is_no_empty_queue(
    scheduler: Scheduler, settings: Settings, look: Look
) -> None:
    submit(look, settings, prepare=False, rerun=False)
    scheduler.behave("answer-squeue", "slurm_load_jobs: weather is nice")
    with pytest.raises(UnavailableError, match="weather"):
        queued(settings.root)


def test_without_submissions_slurm_is_not_asked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert queued(settings.root) == {}
    assert not settings.root.exists()


def test_without_slurm_the_error_says_where_to_go(
    scheduler: Scheduler, settings: Settings, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("sbatch", "scontrol", "squeue"):
        scheduler.remove(command)
    monkeypatch.setenv("PATH", str(scheduler.commands))
    with pytest.raises(UnavailableError, match="login node"):
        submit(look, settings, prepare=False, rerun=False)
    assert submissions(settings.root) == []


def test_killed_between_sbatch_and_record_the_job_is_found_by_its_name(
    scheduler: Scheduler, settings: Settings, look: Look
) -> None:
    scheduler.behave("die-after-sbatch", times=1)
    process = start(settings.root)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    (orphan,) = submissions(settings.root)
    assert orphan.read().job is None
    assert len(queued(settings.root)) == 12
    assert submit(look, settings, prepare=False, rerun=False).arrays == []
    assert orphan.read().job == "1000"
    assert len(scheduler.calls("sbatch")) == 1


def test_if_killed_before_sbatch_answers_no_other_process_submits(
    scheduler: Scheduler, settings: Settings, look: Look
) -> None:
    scheduler.behave("slow-sbatch", "orphaned", times=1)
    process = start(settings.root)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    # The orphaned sbatch continues and keeps the lock.
    assert scheduler.jobs() == {}
    threading.Timer(1.0, (scheduler.state / "go").touch).start()
    assert submit(look, settings, prepare=False, rerun=False).arrays == []
    assert len(scheduler.calls("sbatch")) == 1
    assert len(queued(settings.root)) == 12


def test_killed_before_sbatch_the_runs_are_submitted_by_the_next(
    scheduler: Scheduler, settings: Settings, look: Look
) -> None:
    submit(look, settings, prepare=False, rerun=False)
    (only,) = submissions(settings.root)
    only.write(only.read().model_copy(update={"job": None}))
    (scheduler.state / "1000.json").unlink()
    assert [one.runs for one in submit(look, settings, prepare=False, rerun=False).arrays] == [12]
    assert only.read().ended


def test_of_many_submitters_at_once_one_submits(scheduler: Scheduler, settings: Settings, table: list[Run]) -> None:
    scheduler.behave("slow-sbatch", "0.3")
    processes = [start(settings.root) for _ in range(3)]
    counts = sorted(int(process.communicate()[0]) for process in processes)
    assert counts == [0, 0, 12]
    assert sorted(submitted(scheduler)) == sorted(run.id for run in table)


def test_the_lock_is_not_waited_for_without_end(settings: Settings) -> None:
    with (
        submission_lock(settings.root),
        pytest.raises(UnavailableError, match="another rdc-sweep"),
        submission_lock(settings.root, patience=0.2),
    ):
        pass


def test_a_rerun_sets_the_old_directories_aside_once(
    scheduler: Scheduler, settings: Settings, look: Look, table: list[Run]
) -> None:
    submit(look, settings, prepare=False, rerun=False)
    scheduler.finish_all()
    submit(lambda: plan(table, settings.root, rerun=True), settings, prepare=True, rerun=True)
    assert len(list((settings.root / "replaced").iterdir())) == 12
    assert len(queued(settings.root)) == 12


def test_workers_get_absolute_folders_and_no_secret_is_written(
    scheduler: Scheduler, tmp_path: Path, table: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("RDC_SWEEP_ROOT", "relative")
    monkeypatch.setenv("SBATCH_ARRAY_INX", "7")
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1")
    settings = Settings(
        cache_root=Path("cache"),
        nyuv2_root=Path("../nyu"),
        dataset_roots={"mine": Path("m")},
        nodes={"a100": {"offline": True, "setup": ["export A=b"]}},
    )
    done = submit(lambda: plan(table, settings.root), settings, prepare=False, rerun=False)
    directory = SubmissionDirectory(settings.root, done.arrays[0].id)
    written = json.loads(directory.settings.read_text())
    assert written["root"] == str(tmp_path / "relative")
    assert written["cache_root"] == str(tmp_path / "cache")
    assert Path(written["nyuv2_root"]).is_absolute()
    assert written["dataset_roots"] == {"mine": str(tmp_path / "m")}
    assert (written["wandb"], written["device"], written["threads"], written["heartbeat"]) == ("offline", "cuda", 8, 10)
    assert f"export RDC_SWEEP_ROOT={tmp_path / 'relative'}\n" in directory.batch.read_text()
    for path in tmp_path.joinpath("relative").rglob("*"):
        assert path.is_dir() or "k" * 40 not in path.read_text()
    (job,) = scheduler.jobs().values()
    assert job["environment"]["WANDB_API_KEY"] == "k" * 40
    assert job["environment"]["SBATCH_ACCOUNT"] == "mine"
    assert not {"SBATCH_ARRAY_INX", "SLURM_JOB_ID", "SLURM_MEM_PER_CPU"} & set(job["environment"])


def test_a_command_becomes_an_array_of_equal_tasks(
    scheduler: Scheduler, settings: Settings, look: Look, table: list[Run]
) -> None:
    command = ("study-worker", "tau")
    preparation, _ = submit_command(command, 3, settings, about="study tau", needs=[run.spec for run in table[:2]])
    assert preparation is not None
    first, second = scheduler.jobs().values()
    assert (Path(first["file"]).parent / "runs.txt").read_text().split() == [run.id for run in table[:2]]
    assert (second["options"]["array"], second["options"]["dependency"]) == ("0-2%3", "afterok:1000")
    assert [job.job_id for job in queued_workers(settings.root, "study tau")] == ["1001_0", "1001_1", "1001_2"]
    assert queued_workers(settings.root, "study other") == []
    # Its tasks are no jobs of runs.
    assert queued(settings.root) == {}
    assert [one.runs for one in submit(look, settings, prepare=False, rerun=False).arrays] == [12]


def test_a_refused_command_takes_its_preparation_along(
    scheduler: Scheduler, settings: Settings, table: list[Run]
) -> None:
    refuse_after(scheduler, 1)
    with pytest.raises(UnavailableError, match="QOSMaxSubmitJob"):
        submit_command(["study-worker", "tau"], 3, settings, about="study tau", needs=[table[0].spec])
    assert scheduler.calls("scancel") == [["1000"]]
    assert queued_workers(settings.root, "study tau") == []


def test_records_can_be_read_by_all_who_may_read_the_folder(
    scheduler: Scheduler, settings: Settings, look: Look
) -> None:
    before = os.umask(0o022)
    try:
        submit(look, settings, prepare=False, rerun=False)
    finally:
        os.umask(before)
    (only,) = submissions(settings.root)
    assert {path.stat().st_mode & 0o777 for path in only.folder.iterdir() if path.is_file()} == {0o644}
