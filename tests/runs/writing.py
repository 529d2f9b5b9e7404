"""Records of runs as owners and planners leave them, without owning anything."""

from pydantic import BaseModel

from rdc_sweeps.data.provenance import DataRecord
from rdc_sweeps.files import write_json
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Failure, Origin, Result, Status


def write_status(run: RunDirectory, status: Status) -> None:
    _write(run, "status.json", status)


def write_failure(run: RunDirectory, failure: Failure) -> None:
    _write(run, "failure.json", failure)


def write_result(run: RunDirectory, result: Result) -> None:
    _write(run, "result.json", result)


def write_origin(run: RunDirectory, origin: Origin) -> None:
    _write(run, "origin.json", origin)


def write_data(run: RunDirectory, data: DataRecord) -> None:
    _write(run, "data.json", data)


def _write(run: RunDirectory, name: str, record: BaseModel) -> None:
    write_json(run.folder / name, record.model_dump(mode="json"))
