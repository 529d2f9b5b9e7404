"""A report's folder is replaced as a whole, and nothing else is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rdc_sweeps.errors import UsageError
from rdc_sweeps.web.folder import MANIFEST, write_site
from rdc_sweeps.web.site import Site
from tests.web.making import written


def site(**files: Callable[[], bytes]) -> Site:
    return Site({"index.html": lambda: b"first", "runs/a.html": lambda: b"a", **files})


def test_all_files_are_written_and_nothing_else_stays(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    assert write_site(site(), folder) == folder / "index.html"
    assert written(folder) == {"index.html", "runs/a.html", MANIFEST}
    write_site(Site({"index.html": lambda: b"second"}), folder)
    assert written(folder) == {"index.html", MANIFEST}
    assert (folder / "index.html").read_bytes() == b"second"
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


def test_a_failed_report_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_site(site(), folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    def fail() -> bytes:
        raise RuntimeError("no page")

    with pytest.raises(RuntimeError, match="no page"):
        write_site(site(other=fail), folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_report_that_cannot_take_its_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"
    write_site(site(), folder)
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if target == folder and path.name.startswith(".") and not path.name.endswith(".former"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(UsageError, match="cannot be written: Input/output error"):
        write_site(Site({"index.html": lambda: b"second"}), folder)
    assert (folder / "index.html").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    write_site(site(), tmp_path / "report")
    assert written(tmp_path / "report") >= {"index.html"}


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "report").symlink_to(tmp_path / "disk")
    write_site(site(), tmp_path / "report")
    write_site(site(), tmp_path / "report")
    assert (tmp_path / "report").is_symlink()
    assert written(tmp_path / "disk") >= {"index.html"}


def test_other_folders_are_refused_with_a_remedy(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis" / "chapter.tex"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis: holds other files than a report.*--output"):
        write_site(site(), thesis.parent)
    with pytest.raises(UsageError, match=r"chapter.tex: is not a folder; .*--output"):
        write_site(site(), thesis)
    with pytest.raises(UsageError, match=r"chapter.tex: cannot be created: .*--output"):
        write_site(site(), thesis / "report")
    assert thesis.read_text() == "years of work"


def test_files_of_others_in_a_report_are_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_site(site(), folder)
    (folder / "remarks.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"report: remarks.txt would be lost.*move it, or"):
        write_site(site(), folder)
    assert (folder / "remarks.txt").read_text() == "mine"
    (folder / "remarks.txt").unlink()
    (folder / MANIFEST).write_text("{}")
    with pytest.raises(UsageError, match="is damaged"):
        write_site(site(), folder)
