"""A table of the paper: its rows, their published numbers, and the overlays that define their specs."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator

from rdc_sweeps.metrics.metric import MAIN_METRICS, MainMetric
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.fields import has_path
from rdc_sweeps.specs.run import RunSpec

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
"""Lower-case words joined by hyphens."""

PrintedNumber = Annotated[str, StringConstraints(pattern=r"^[-+]?[0-9]+(\.[0-9]+)?$")]
"""A number as the paper prints it, kept as a string to preserve its digits."""


class Published(Spec):
    """A row's published numbers, as printed (strings keep their digits); null where the paper has none."""

    mIoU: PrintedNumber | None = None  # noqa: N815 (the names of the metrics)
    aErr: PrintedNumber | None = None  # noqa: N815
    mErr: PrintedNumber | None = None  # noqa: N815


class RowSpec(Spec):
    """A row of a table."""

    id: Slug
    method: str = Field(description="The method column as the paper prints it.")
    spec: dict[str, Any] = Field(default_factory=dict, description="Overlay on the table's defaults.")
    tuned: dict[Slug, dict[str, Any]] = Field(
        default_factory=dict, description="By profile, an overlay on the profile: what a study chose under it."
    )
    published: Published = Published()
    published_improvement: Published | None = None
    baseline: str | None = Field(None, description="Id of the row that improvements are relative to.")
    sota: bool = False
    bold: bool = False
    notes: str | None = None


class TableSpec(Spec):
    """A table: a name, defaults for all rows, and the rows."""

    table: Slug
    title: str
    dataset: str = Field(description="The data set column of the paper.")
    paper: bool = Field(True, description="Whether the table is one of the paper; false: ours, beyond the paper.")
    metrics: tuple[MainMetric, ...] = MAIN_METRICS
    defaults: dict[str, Any] = Field(default_factory=dict, description="Values shared by all rows.")
    rows: tuple[RowSpec, ...] = Field(min_length=1)

    @field_validator("rows")
    @classmethod
    def _rows_fit(cls, rows: tuple[RowSpec, ...]) -> tuple[RowSpec, ...]:
        ids = [row.id for row in rows]
        problems = [f"row id {name!r} is duplicated" for name in dict.fromkeys(ids) if ids.count(name) > 1]
        baselines = dict.fromkeys(row.baseline for row in rows if row.baseline is not None)
        problems += [f"baseline {name!r} is not a row of this table" for name in baselines if name not in ids]
        if problems:
            raise ValueError("; ".join(problems))
        return rows


class Overlay(Spec):
    """Values applied to all specs that match a condition."""

    when: dict[str, Any] = Field(
        default_factory=dict, description="Dotted paths and the value (or list of values) they must have."
    )
    set: dict[str, Any]

    @field_validator("when")
    @classmethod
    def _paths_exist(cls, when: dict[str, Any]) -> dict[str, Any]:
        # A condition on a field that does not exist would silently never match.
        for path in when:
            if not has_path(RunSpec, path.split(".")):
                raise ValueError(f"runs have no field {path!r}")
        return when


class CompatSpec(Spec):
    """An overlay on every table that reproduces the behaviour of other code."""

    compat: Slug
    title: str
    selection: Selection = Field(description="The epoch that this code reports.")
    overlays: tuple[Overlay, ...] = ()


class ProfileSpec(Spec):
    """An overlay on every table that sets its scale."""

    profile: Slug
    title: str
    comparable: bool = Field(False, description="Whether results are comparable with the published numbers.")
    selection: Selection = Field(description="The selection rule of reports, unless a report names another.")
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    overlays: tuple[Overlay, ...] = ()
