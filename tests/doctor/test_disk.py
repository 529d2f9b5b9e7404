import threading
from pathlib import Path

import pytest

from rdc_sweeps.doctor import disk
from rdc_sweeps.doctor.disk import examine_disk, locks_work, torn_reads


def test_a_good_disk_is_all_right_and_left_as_it_was(tmp_path: Path) -> None:
    findings = list(examine_disk("runs", tmp_path / "not" / "there"))
    assert [one.topic for one in findings] == ["runs", "runs: locks", "runs: rename", "runs: fsync"]
    assert [one.level for one in findings if one.topic != "runs: fsync"] == ["ok"] * 3
    assert "(does not exist yet)" in findings[0].text
    assert not list(tmp_path.iterdir())


def test_locks_without_effect_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "HOLD", "print('held', flush=True); import time; time.sleep(60)")
    assert not locks_work(tmp_path)
    monkeypatch.setattr(disk, "HOLD", "raise OSError('no locks available')")
    assert not locks_work(tmp_path)
    (locks,) = [one for one in examine_disk("runs", tmp_path) if one.topic == "runs: locks"]
    assert locks.level == "problem"
    assert locks.remedy is not None


def test_files_are_replaced_at_once(tmp_path: Path) -> None:
    assert torn_reads(tmp_path) == 0


def test_a_rename_that_is_two_steps_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(self: Path, target: Path) -> None:
        target.unlink()
        target.write_bytes(self.read_bytes())

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(disk, "REPLACEMENTS", 2000)
    assert torn_reads(tmp_path) > 0


def test_a_folder_that_cannot_be_written_to_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    assert [one.level for one in examine_disk("runs", tmp_path)][-1] == "problem"


def test_no_thread_is_left_behind_by_an_interrupted_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        torn_reads(tmp_path)
    assert threading.active_count() == before
