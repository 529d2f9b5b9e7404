from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.dispatch.slurm.submissions import Submission, SubmissionDirectory
from rdc_sweeps.monitoring import logs
from rdc_sweeps.monitoring.logs import GrowingFile, RunOutput, job_log
from rdc_sweeps.runs.records import Stopped
from rdc_sweeps.runs.requests import request_stop
from tests.monitoring.conftest import Bench


@given(
    text=st.text(alphabet="ab\n", max_size=60),
    lines=st.integers(0, 8),
    block=st.integers(1, 9),
)
def test_the_last_lines_are_those_of_the_whole_text(
    tmp_path_factory: pytest.TempPathFactory, text: str, lines: int, block: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.txt"
    path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "BLOCK", block)
        file = GrowingFile(path)
        file.skip_to_last(lines)
    expected = text.splitlines(keepends=True)[-lines:] if lines else []
    assert file.news().decode() == "".join(expected)


def test_news_are_told_once_and_all_of_a_file_that_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    file = GrowingFile(path)
    assert file.news() == b""
    path.write_bytes(b"a\n")
    assert file.news() == b"a\n"
    assert file.news() == b""
    with path.open("ab") as log:
        log.write(b"b\n")
    assert file.news() == b"b\n"
    path.write_bytes(b"c")
    assert file.news() == b"c"
    (tmp_path / "new").write_bytes(b"another\n")
    (tmp_path / "new").rename(path)
    assert file.news() == b"another\n"


def submit(root: Path, number: str, job: str | None, runs: list[str]) -> SubmissionDirectory:
    directory = SubmissionDirectory(root, number)
    directory.log.mkdir(parents=True)
    directory.runs.write_text("".join(f"{run}\n" for run in runs))
    directory.write(
        Submission(id=number, kind="runs", time=0, host="h", user="u", table="t", node="n", runs=len(runs), job=job)
    )
    return directory


def test_the_log_of_the_last_job_of_a_run(tmp_path: Path) -> None:
    assert job_log(tmp_path, "b") is None
    for number, job in (("1", "11"), ("2", "12")):
        directory = submit(tmp_path, number, job, ["a", "b"])
        (directory.log / f"{job}_1_0_log.out").touch()
    submit(tmp_path, "3", None, ["b"])
    assert job_log(tmp_path, "b") == tmp_path / "submissions" / "2" / "log" / "12_1_0_log.out"
    assert job_log(tmp_path, "a") is None


def test_the_output_of_a_run_is_its_jobs_until_a_worker_starts(bench: Bench) -> None:
    directory = bench.run(0, "planned")
    output = RunOutput(directory)
    assert (output.exists, output.news()) == (False, b"")
    submission = submit(directory.root, "1", "11", [directory.id])
    (submission.log / "11_0_0_log.out").write_text("no such image\n")
    assert output.news() == b"no such image\n"
    assert output.is_of_job
    directory.log.write_text("step 1\n")
    assert output.news() == b"step 1\n"
    assert not output.is_of_job
    assert not output.ended
    request_stop(directory, Stopped.now("cancelled", "by ada"))
    with directory.log.open("a") as log:
        log.write("stopped\n")
    assert output.news() == b"stopped\n"
    assert output.ended
    assert RunOutput(directory, lines=1).news() == b"stopped\n"
