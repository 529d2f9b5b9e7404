import json
import logging
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from rdc_sweeps.errors import DamagedError, UnavailableError, UsageError
from rdc_sweeps.tuning.storage import StorageUrl, open_storage
from rdc_sweeps.tuning.study import load_study, open_study
from rdc_sweeps.tuning.study_workers import work_on_study
from rdc_sweeps.tuning.summary import summarise
from tests.mutations import read_damaged
from tests.tuning.conftest import Make, Open, Where
from tests.tuning.databases import PASSWORD
from tests.tuning.simulation import Simulation, settings


def test_urls() -> None:
    assert StorageUrl.parse(None).is_journal
    assert StorageUrl.parse("journal").is_journal
    assert StorageUrl.parse("sqlite:////data/x.db").public == "sqlite:////data/x.db"
    assert StorageUrl.parse("sqlite:///x.db").public == f"sqlite:///{Path.cwd()}/x.db"
    for text in ("postgresql://ada@db/optuna", "postgresql+psycopg2://ada@db/optuna", "postgres://ada@db/optuna"):
        assert StorageUrl.parse(text) == StorageUrl("postgresql+psycopg://ada@db/optuna")


@pytest.mark.parametrize(
    "text",
    ["postgresql://ada:se%2Fcret@db:99/optuna?sslmode=require", "postgresql://ada@db:99/optuna?sslmode=require&password=se/cret"],
)  # fmt: skip
def test_passwords_are_kept_apart(text: str) -> None:
    url = StorageUrl.parse(text)
    assert url.public == "postgresql+psycopg://ada@db:99/optuna?sslmode=require"
    assert url.secrets == {"password": "se/cret"}
    assert "cret" not in repr(url)


def test_whatever_looks_like_a_secret_is_kept_apart() -> None:
    given = "sslpassword=pa55word1&sslkey=/keys/mine.pem&passfile=/home/ada/pgpass&sslmode=require&api_token=pa55word2"
    url = StorageUrl.parse(f"postgresql://ada@db/optuna?{given}&sslpassword=pa55word3")
    assert url.secrets == {"sslpassword": "pa55word3", "api_token": "pa55word2"}
    assert url.public.startswith("postgresql+psycopg://ada@db/optuna?")
    assert "pa55word" not in url.public + repr(url)
    assert "mine.pem" in url.public
    assert url.redacted("invalid pa55word3 for pa55word2") == "invalid *** for ***"


@pytest.mark.parametrize(
    "text", ["", "not a url: pa55word", "redis://:pa55word@db", "mysql://ada:pa55word@db/x", "sqlite://", "sqlite:///:memory:"]
)  # fmt: skip
def test_what_is_no_storage(text: str) -> None:
    with pytest.raises(UsageError, match="--storage") as caught:
        StorageUrl.parse(text)
    assert "pa55word" not in str(caught.value)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    url = StorageUrl.parse("postgresql://ada:pa55word@127.0.0.1:1/optuna")
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1") as caught:
        open_storage(url, tmp_path)
    assert "pa55word" not in str(caught.value)


def test_half_a_line_of_a_killed_process_spoils_nothing(journal: Where, opened: Open) -> None:
    study = opened(journal, 2, epochs=1)
    path = study.folder.folder / "journal.log"
    with path.open("ab") as file:
        file.write(b'{"op_code": 4, "worker')
    assert work_on_study(journal.root, "example", settings(journal.root), 2, work=Simulation()) == 0
    assert summarise(study).finished == 2
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_no_file_and_no_log_has_the_password(
    server: str, tmp_path: Path, tuned: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    root, name = tmp_path / "runs", f"secret-{os.getpid()}"
    secret = quote(PASSWORD, safe="")
    url = server.replace("tuner@", f"tuner:{secret}@")
    open_study(root, name, tuned(epochs=1), url).ask_for(2)
    with pytest.raises(UnavailableError) as caught:  # the server wants one, and the record has none
        load_study(root, name)
    said = [caplog.text, str(caught.value)]
    # A task elsewhere gets it from the environment (or ~/.pgpass), as PostgreSQL's own programs do.
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert work_on_study(root, name, settings(root), 2, work=Simulation()) == 0
    summary = summarise(load_study(root, name))
    assert summary.finished == 2
    said += [str(summary), caplog.text]
    said += [path.read_text(errors="replace") for path in root.rglob("*") if path.is_file()]
    for text in said:
        assert PASSWORD not in text
        assert secret not in text


def test_the_same_name_in_one_database_is_another_study_of_another_folder(tmp_path: Path, tuned: Make) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    open_study(tmp_path / "ada", "example", tuned(), url)
    open_study(tmp_path / "ada", "example", tuned(), url)
    with pytest.raises(UsageError, match=r"already has a study 'example'.*--study NAME"):
        open_study(tmp_path / "bob", "example", tuned(), url)


def remembered(where: Where) -> list[dict[str, Any]]:
    """What a storage says of the trials of a study."""
    study = load_study(where.root, where.name)
    trials = study.optuna.get_trials()
    return [
        study.optuna.user_attrs,
        *({"state": one.state, "value": one.value, "params": one.params, "attrs": one.user_attrs} for one in trials),
    ]


@pytest.mark.parametrize("budget", [100, pytest.param(3000, marks=pytest.mark.slow)])
def test_no_damaged_journal_is_read_as_another(budget: int, journal: Where, opened: Open) -> None:
    study = opened(journal, 2, epochs=1)
    assert work_on_study(journal.root, "example", settings(journal.root), 2, work=Simulation()) == 0
    path = study.folder.folder / "journal.log"
    lines = path.with_suffix(".lines").read_bytes()

    def read() -> list[dict[str, Any]]:
        # Opening a study adds a line.
        path.with_suffix(".lines").write_bytes(lines)
        return remembered(journal)

    assert len(read()) == 3
    readings = read_damaged(path, budget, read)
    assert (readings.different, readings.uncaught) == ([], [])


@pytest.mark.parametrize("budget", [50, pytest.param(3000, marks=pytest.mark.slow)])
def test_no_damaged_record_is_read_as_another(budget: int, journal: Where, opened: Open) -> None:
    study = opened(journal, 2, epochs=1)
    readings = read_damaged(study.folder.record, budget, study.folder.read)
    assert (readings.different, readings.uncaught) == ([], [])


def test_a_journal_of_an_earlier_version_is_read_and_continued(journal: Where, opened: Open) -> None:
    study = opened(journal, 4, epochs=1)
    assert work_on_study(journal.root, "example", settings(journal.root), 2, work=Simulation()) == 0
    path, before = study.folder.folder / "journal.log", remembered(journal)
    path.write_text(re.sub('{"checksum": "[0-9a-f]{8}", ?', "{", path.read_text()))
    path.with_suffix(".lines").unlink()
    assert remembered(journal) == before
    assert work_on_study(journal.root, "example", settings(journal.root), 4, work=Simulation()) == 0
    assert summarise(load_study(journal.root, "example")).finished == 4


@pytest.mark.parametrize("damage", ["emptied", "deleted", "deleted with its number of lines", "without its last line"])
def test_a_lost_journal_is_not_a_young_study(damage: str, journal: Where, opened: Open) -> None:
    study = opened(journal, 2, epochs=1)
    assert work_on_study(journal.root, "example", settings(journal.root), 2, work=Simulation()) == 0
    path = study.folder.folder / "journal.log"
    match damage:
        case "emptied":
            path.write_bytes(b"")
        case "without its last line":
            path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
        case _:
            path.unlink()
            if damage != "deleted":
                path.with_suffix(".lines").unlink()
    for _ in range(2):
        with pytest.raises(DamagedError, match="start another study with --study NAME"):
            load_study(journal.root, "example")


@pytest.mark.slow
def test_a_lost_database_is_not_a_young_study(tmp_path: Path, tuned: Make) -> None:
    root, url = tmp_path / "runs", f"sqlite:///{tmp_path}/study.db"
    open_study(root, "example", tuned(epochs=1), url).ask_for(1)
    assert work_on_study(root, "example", settings(root), 1, storage=url, work=Simulation()) == 0
    (tmp_path / "study.db").unlink()
    with pytest.raises(DamagedError, match="has 0 of the 1 trials that were started"):
        load_study(root, "example", url)
