import pytest

from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.run import SCHEMA_VERSION
from rdc_sweeps.tuning.folder import study_names
from rdc_sweeps.tuning.study import load_study, open_study
from rdc_sweeps.tuning.study_workers import work_on_study
from rdc_sweeps.tuning.summary import summarise
from tests.tuning.conftest import Make, Open, Where
from tests.tuning.simulation import Simulation, settings


def test_another_study_of_the_same_name(journal: Where, tuned: Make) -> None:
    open_study(journal.root, "example", tuned())
    open_study(journal.root, "example", tuned("trials: 7\nconfirm: [8]"))
    with pytest.raises(UsageError) as caught:
        open_study(journal.root, "example", tuned("set: {method: {weight: 0.5}}", profile="cpu"))
    text = str(caught.value)
    assert "profile: was demo, is now cpu" in text
    assert "spec.set: was [], is now ['method={\"weight\": 0.5}']" in text
    assert "with --study NAME" in text
    assert "run." not in text
    with pytest.raises(UsageError, match="storage: was journal, is now sqlite"):
        open_study(journal.root, "example", tuned(), f"sqlite:///{journal.root}/x.db")


def test_a_study_of_an_older_version_is_not_continued(journal: Where, tuned: Make) -> None:
    record = open_study(journal.root, "example", tuned()).folder.record
    text = record.read_text()
    assert f"schema: {SCHEMA_VERSION}\n" in text
    record.write_text(text.partition("\n")[2].replace(f"schema: {SCHEMA_VERSION}\n", ""))
    with pytest.raises(UsageError, match=f"schema: was 1, is now {SCHEMA_VERSION}"):
        open_study(journal.root, "example", tuned())
    assert load_study(journal.root, "example").tuned == tuned()


@pytest.mark.parametrize("token", ["68170493e5281930", "0e12345678901234", "1234567890123456", "00112233445566ff"])
def test_a_token_that_looks_like_a_number_stays_a_text(
    journal: Where, tuned: Make, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: token)
    opened = open_study(journal.root, "example", tuned())
    assert opened.folder.read().token == token
    assert load_study(journal.root, "example").optuna.user_attrs["token"] == token


def test_a_study_is_loaded_as_it_was_opened(journal: Where, opened: Open) -> None:
    study = opened(journal, 3, "seeds: [0, 4]\npruner: {name: median}")
    loaded = load_study(journal.root, "example")
    assert loaded.tuned == study.tuned
    assert loaded.asked == 3
    assert study_names(journal.root) == ["example"]
    with pytest.raises(UsageError, match=r"no study 'exampel'; did you mean 'example'\? Available: example"):
        load_study(journal.root, "exampel")
    with pytest.raises(UsageError, match="are in journal, not in sqlite"):
        load_study(journal.root, "example", "sqlite:////tmp/x.db")


def test_claims_are_exclusive_and_not_more_than_asked(journal: Where, opened: Open) -> None:
    study = opened(journal, 2)
    first, second = study.claim(2), study.claim(2)
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (0, 1)
    assert study.claim(2) is None
    assert [trial.phase for trial in summarise(study).trials] == ["running", "running"]
    first.release()
    assert [trial.phase for trial in summarise(study).trials] == ["interrupted", "running"]
    again = study.claim(2)
    assert again is not None
    assert (again.number, again.resumed, again.values) == (0, True, first.values)


def test_the_summary_says_what_to_do_next(journal: Where, opened: Open) -> None:
    study = opened(journal, 20, "set: {method: {weight: 0.5}}\nsampler: {name: random}", epochs=3)
    empty = summarise(study)
    assert (empty.best, empty.default, empty.row_yaml, empty.command, empty.importances) == (None, None, None, None, {})
    work_on_study(journal.root, "example", settings(journal.root), 20, work=Simulation())
    summary = summarise(study)
    assert summary.objective == "delta-m over one-patch-vector"
    assert summary.best is not None
    assert summary.default is not None
    assert (summary.best.value or 0) >= (summary.default.value or 0)
    assert summary.command is not None
    assert summary.command.startswith("rdc-sweep run table3 one-region-gaussian --profile demo --seeds 1,2,3 --set")
    assert 'method={"weight": 0.5}' in summary.command
    assert summary.row_yaml is not None
    assert "id: one-region-gaussian-tuned" in summary.row_yaml
    if summary.count("complete") >= 8:
        assert sum(summary.importances.values()) == pytest.approx(1)
