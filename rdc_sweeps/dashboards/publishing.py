"""Publishes views in a W&B project: a view that is there already is replaced, whoever wrote it and from wherever."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rdc_sweeps.dashboards.views import View, ViewKind
from rdc_sweeps.errors import UnavailableError, UsageError
from rdc_sweeps.tracking.project import Project

PAGE = 100

LIST = """
query RdcViews($entity: String!, $project: String!, $type: String!, $after: String, $first: Int!) {
    project(name: $project, entityName: $entity) {
        allViews(viewType: $type, first: $first, after: $after) {
            edges { node { id name description createdAt } cursor }
            pageInfo { endCursor hasNextPage }
        }
    }
}
"""

UPSERT = """
mutation RdcUpsertView($id: ID, $entity: String, $project: String, $type: String, $name: String, $title: String,
                       $description: String, $spec: String) {
    upsertView(input: {id: $id, entityName: $entity, projectName: $project, name: $name, displayName: $title,
                       description: $description, type: $type, spec: $spec, createdUsing: WANDB_SDK}) {
        view { id name }
        inserted
    }
}
"""

DELETE = """
mutation RdcDeleteView($id: ID!) {
    deleteView(input: {id: $id, deleteDrafts: true}) { success }
}
"""


@dataclass(frozen=True)
class Published:
    """A view at W&B."""

    view: View
    url: str
    created: bool
    """Whether it was not there before."""


def publish(view: View, project: Project, *, replace: bool = False) -> Published:
    """Create or replace a view.

    It is found by its name, so nothing has to be remembered on this machine. Two processes that create it at the same
    moment keep the same one of the two, the older.

    Args:
        view: The view.
        project: The project.
        replace: Replace it even if it shows more runs that are done, such as those of another runs folder.

    Raises:
        UsageError: The one that is there shows more runs that are done.
        UnavailableError: W&B does not answer, refuses, or has no such project.
    """
    there = _find(view, project)
    if there and not replace and (_done(there[0]["description"]) or 0) > (_done(view.description) or 0):
        raise UsageError(
            f"{_url(view, there[0]['id'], project)} shows more finished runs ({there[0]['description']}) than this "
            "runs folder has; with --replace it is written over, or choose another W&B project"
        )
    identity = there[0]["id"] if there else None
    saved = _upsert(view, identity, project)
    if identity is None:
        # A list of several pages may lack what moves between them when others are removed, also the one just created.
        found = [*(one["id"] for one in _find(view, project)), saved]
        oldest = found[0]
        for other in dict.fromkeys(found[1:]):
            if other != oldest:
                # The process that created it may remove it at the same moment.
                with suppress(UnavailableError):
                    project.execute(DELETE, {"id": other})
        if oldest != saved:
            saved = _upsert(view, oldest, project)
    return Published(view, _url(view, saved, project), created=not there)


def _find(view: View, project: Project) -> list[dict[str, Any]]:
    """Views of this name, the oldest first."""
    found = [one for one in _views(view.kind, project) if one["name"] == view.name]
    return sorted(found, key=lambda one: (one["createdAt"], one["id"]))


def _views(kind: ViewKind, project: Project) -> Iterator[dict[str, Any]]:
    after = None
    while True:
        variables = {"entity": project.entity, "project": project.name, "type": kind, "after": after, "first": PAGE}
        found = project.execute(LIST, variables)["project"]
        if found is None:
            raise UnavailableError(
                f"there is no project {project.entity}/{project.name} at W&B, or this key may not see it; the first "
                "tracked run creates it (rdc-sweep run --wandb online, or rdc-sweep sync)"
            )
        yield from (edge["node"] for edge in found["allViews"]["edges"])
        page = found["allViews"]["pageInfo"]
        if not page["hasNextPage"]:
            return
        after = page["endCursor"]


def _upsert(view: View, identity: str | None, project: Project) -> str:
    answer = project.execute(
        UPSERT,
        {
            "id": identity,
            "entity": project.entity,
            "project": project.name,
            "type": view.kind,
            "name": view.name,
            "title": view.title,
            "description": view.description,
            "spec": view.spec,
        },
    )
    return str(answer["upsertView"]["view"]["id"])


def _done(description: str | None) -> int | None:
    found = re.match(r"(\d+) of \d+ done", description or "")
    return int(found.group(1)) if found else None


def _url(view: View, identity: str, project: Project) -> str:
    place = f"{project.app_url}/{quote(project.entity)}/{quote(project.name)}"
    if view.kind == "project-view":
        return f"{place}?nw={view.name.removeprefix('nw-').removesuffix('-v')}"
    title = re.sub(r"[^A-Za-z0-9]+", "-", view.title).strip("-")
    return f"{place}/reports/{title}--{identity.rstrip('=')}"
