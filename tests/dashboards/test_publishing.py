"""Views at W&B, through the real client: there once, whoever writes them and whatever happens."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

import rdc_sweeps.tracking.project
from rdc_sweeps.dashboards.publishing import LIST, publish
from rdc_sweeps.dashboards.views import View
from rdc_sweeps.errors import UnavailableError, UsageError
from rdc_sweeps.tracking.project import Project, open_project
from tests.tracking.backend import Backend, Fault, StoredRun

VIEW = View("project-view", "nw-0123456789ab-v", "table3 under profile demo", "2 of 12 done. Written", '{"a": 1}')


@pytest.fixture
def project(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with a run in it."""
    monkeypatch.setattr(rdc_sweeps.tracking.project, "TIMEOUT_SECONDS", 60)
    backend.runs["x"] = StoredRun("rdc-sweeps", "x")
    with open_project("rdc-sweeps", None) as found:
        yield found


def test_a_view_is_created_and_then_replaced(backend: Backend, project: Project) -> None:
    # Others come before it, on more pages than one.
    for number in range(backend.page + 1):
        publish(replace(VIEW, name=f"nw-{number:012}-v"), project)
    first = publish(VIEW, project)
    again = publish(replace(VIEW, spec='{"a": 2}', title="other"), project)
    assert (first.created, again.created) == (True, False)
    assert first.url == again.url == f"{backend.url}/lab/rdc-sweeps?nw=0123456789ab"
    (stored,) = [view for view in backend.views.values() if view.name == VIEW.name]
    assert (stored.spec, stored.title, stored.type) == ('{"a": 2}', "other", "project-view")


def test_a_report_of_the_same_name_is_another_view(backend: Backend, project: Project) -> None:
    publish(VIEW, project)
    report = publish(replace(VIEW, kind="runs"), project)
    assert len(backend.views) == 2
    assert report.url.startswith(f"{backend.url}/lab/rdc-sweeps/reports/table3-under-profile-demo--")


def test_more_finished_runs_are_not_written_over_unasked(backend: Backend, project: Project) -> None:
    publish(VIEW, project)
    poorer = replace(VIEW, description="1 of 12 done. Written", spec="{}")
    with pytest.raises(UsageError, match=r"nw=0123456789ab shows more finished runs \(2 of 12.*--replace"):
        publish(poorer, project)
    publish(poorer, project, replace=True)
    assert [view.spec for view in backend.views.values()] == ["{}"]


def test_one_that_somebody_described_in_own_words_is_replaced(backend: Backend, project: Project) -> None:
    publish(replace(VIEW, description="see 9 of 9"), project)
    publish(VIEW, project)
    assert [view.description for view in backend.views.values()] == [VIEW.description]


@pytest.mark.parametrize("processes", [2, 5])
def test_processes_that_create_it_at_once_keep_one(processes: int, backend: Backend, project: Project) -> None:
    barrier = threading.Barrier(processes)

    class Late(Project):
        """Looks for the view, and waits until all have looked."""

        def __init__(self) -> None:
            self.__dict__.update(project.__dict__)
            self.waits = True

        def execute(self, query: str, variables: object) -> dict[str, object]:
            answer = project.execute(query, variables)  # type: ignore[arg-type]
            if self.waits:
                self.waits = False
                barrier.wait(20)
            return answer

    errors: list[Exception] = []

    def write(number: int) -> None:
        try:
            publish(replace(VIEW, spec=f'{{"writer": {number}}}'), Late())
        except Exception as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(processes)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert errors == []
    assert len(backend.views) == 1
    assert publish(VIEW, project).created is False
    assert len(backend.views) == 1


def test_one_that_a_list_lacks_is_removed_by_whom_created_it(backend: Backend, project: Project) -> None:
    publish(VIEW, project)
    lists = iter([0, 1])

    class Lacking(Project):
        """Lists nothing, then the oldest view alone, as pages do from which others move away."""

        def __init__(self) -> None:
            self.__dict__.update(project.__dict__)

        def execute(self, query: str, variables: object) -> dict[str, Any]:
            answer: dict[str, Any] = project.execute(query, variables)  # type: ignore[arg-type]
            if query == LIST:
                del answer["project"]["allViews"]["edges"][next(lists) :]
            return answer

    publish(replace(VIEW, spec='{"writer": 2}'), Lacking())
    assert [(view.id, view.spec) for view in backend.views.values()] == [("view1", '{"writer": 2}')]


def test_a_project_that_does_not_exist_is_explained(backend: Backend, project: Project) -> None:
    backend.runs.clear()
    with pytest.raises(UnavailableError, match=r"no project lab/rdc-sweeps at W&B.*first tracked run creates it"):
        publish(VIEW, project)


def test_errors_that_pass_are_waited_for(backend: Backend, project: Project) -> None:
    backend.fault, backend.delay = Fault.SLOW, 0.2
    assert publish(VIEW, project).created
    backend.fault = Fault.ERROR
    threading.Timer(0.5, lambda: setattr(backend, "fault", Fault.NONE)).start()
    assert not publish(VIEW, project).created
    assert len(backend.views) == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.HANG, Fault.DROP, Fault.QUOTA])
def test_a_server_that_does_not_come_back_is_given_up(
    fault: Fault, backend: Backend, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(VIEW, project)
    monkeypatch.setattr(rdc_sweeps.tracking.project, "TIMEOUT_SECONDS", 2)
    backend.fault = fault
    with pytest.raises(UnavailableError, match="W&B does not answer as it should"):
        publish(replace(VIEW, spec="{}"), project)
    backend.fault = Fault.NONE
    monkeypatch.setattr(rdc_sweeps.tracking.project, "TIMEOUT_SECONDS", 30)
    publish(replace(VIEW, spec="{}"), project)
    assert [view.spec for view in backend.views.values()] == ["{}"]


def test_without_a_key_it_says_how_to_get_one(environment: None) -> None:
    with pytest.raises(UnavailableError, match="wandb login"), open_project("rdc-sweeps", None):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.DROP, Fault.HANG])
def test_nothing_goes_on_after_a_server_is_given_up(
    fault: Fault, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rdc_sweeps.tracking.project, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(rdc_sweeps.tracking.project, "CLOSING_SECONDS", 0.5)
    backend.fault = fault
    with pytest.raises(UnavailableError), open_project("rdc-sweeps", "lab") as project:
        publish(VIEW, project)
    assert [child for child in psutil.Process().children() if child.name().startswith("wandb-core")] == []
