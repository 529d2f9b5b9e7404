"""A stand-in for the W&B server: as much of its protocol as `wandb` needs to track, resume and sync runs, to save views
and to send alerts.

The real client talks to it over loopback HTTP, so tests exercise the library and not a mock of it. The protocol has
three parts: GraphQL operations (`POST /graphql`) create and look up runs, the file stream (`POST .../file_stream`)
carries history, summary and console lines as chunks with a line offset, and files are stored by `PUT` at addresses that
GraphQL hands out. `Backend.fault` makes it misbehave; it may be changed while a run is going on.
"""

import base64
import enum
import gzip
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

Json = dict[str, Any]

ENTITY = "lab"

STORING = {"UpsertBucket", "CreateRunFiles", "RdcUpsertView", "RdcDeleteView", "NotifyScriptableRunAlert"}
"""Operations that change something."""


class Fault(enum.Enum):
    """How the server misbehaves."""

    NONE = "answers"
    ERROR = "answers every request with 500"
    QUOTA = "answers what would store something with 403"
    FORGET_FILES = "answers, and keeps no rows, summaries or lines"
    FORGET_ENDS = "answers, and does not learn that a run is over"
    HANG = "accepts and never answers"
    DROP = "closes every connection without an answer"
    SLOW = "answers after `Backend.delay` seconds"


@dataclass
class StoredRun:
    """A run as the server knows it. Field names are those of the upsert operation where it has one."""

    project: str
    name: str
    displayName: str = ""
    groupName: str = ""
    jobType: str = ""
    tags: list[str] = field(default_factory=list)
    config: str = "{}"
    summaryMetrics: str = "{}"
    history: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    console: dict[int, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def state(self) -> str:
        """Whether it is over, and how."""
        return "running" if self.exit_code is None else "failed" if self.exit_code else "finished"

    def settings(self) -> Json:
        """The run's config without the bookkeeping that the client adds to it."""
        return {key: entry["value"] for key, entry in json.loads(self.config).items() if key != "_wandb"}

    def summary(self) -> Json:
        """The latest summary."""
        return dict(json.loads(self.summaryMetrics))

    def series(self, key: str) -> list[tuple[int, Any]]:
        """Every `(step, value)` of one logged key, in the order in which they are stored."""
        return [(row["_step"], row[key]) for row in self.history if key in row]

    def bucket(self) -> Json:
        """The run as GraphQL returns it."""
        identity = f"Run:v1:{self.name}:{self.project}:{ENTITY}"
        return {
            "id": base64.b64encode(identity.encode()).decode(),
            "name": self.name,
            "displayName": self.displayName or self.name,
            "description": None,
            "notes": None,
            "sweepName": None,
            "config": self.config,
            "tags": self.tags,
            "summaryMetrics": self.summaryMetrics,
            "project": {"id": "project", "name": self.project, "entity": {"id": "entity", "name": ENTITY}},
            "historyLineCount": len(self.history),
            "eventsLineCount": len(self.events),
            "logLineCount": len(self.console),
            "historyTail": _tail(self.history),
            "eventsTail": _tail(self.events),
            "wandbConfig": json.dumps({"t": 1}),
        }


@dataclass
class StoredView:
    """A saved workspace or report as the server knows it, with the names of the upsert operation's fields."""

    id: str
    project: str
    type: str
    name: str
    title: str
    description: str
    spec: str
    createdAt: str

    def node(self) -> Json:
        """The view as GraphQL returns it in lists."""
        return {name: getattr(self, name) for name in ("id", "name", "description", "createdAt")}


def _tail(lines: list[Json]) -> str:
    return json.dumps([json.dumps(line) for line in lines[-1:]])


class Backend:
    """The server, on a free loopback port, with everything that it was sent.

    Attributes:
        runs: The stored runs by run id.
        views: The stored workspaces and reports by id.
        alerts: The alerts that were sent, as their variables.
        operations: How often each GraphQL operation, `file_stream` and `upload` arrived.
        fault: The present misbehaviour.
        delay: Seconds that an answer takes under `Fault.SLOW`.
        page: Maximum number of views in one answer.
        stop_requested: Whether somebody pressed the stop button of every run.
    """

    def __init__(self, fault: Fault = Fault.NONE, *, delay: float = 0.5, port: int = 0) -> None:
        self.fault = fault
        self.delay = delay
        self.stop_requested = False
        self.page = 3
        self.runs: dict[str, StoredRun] = {}
        self.views: dict[str, StoredView] = {}
        self.alerts: list[Json] = []
        self.operations: Counter[str] = Counter()
        self.lock = threading.RLock()
        self.created_views = 0
        self.closing = threading.Event()
        self._port = port

    def __enter__(self) -> Self:
        self._http = _Server(self, self._port)
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        """What `WANDB_BASE_URL` is set to."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def wait_for(self, condition: Callable[[], bool], seconds: float = 300.0) -> None:
        """Block until `condition()` holds.

        Raises:
            TimeoutError: It does not within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the backend saw only {dict(self.operations)}")
            time.sleep(0.02)

    def graphql(self, operation: str, variables: Json) -> Json | None:
        """The `data` of an operation's answer, or None where it is unknown."""
        if operation == "UpsertBucket":
            return self._upsert(variables)
        if operation == "RunResumeStatus":
            run = self.runs.get(variables["name"])
            if run is not None:
                run.exit_code = None
            model = {"id": "project", "name": variables["project"], "entity": {"id": "entity", "name": ENTITY}}
            return {"model": {**model, "bucket": run.bucket() if run else None}}
        if operation == "RdcStored":
            run = self.runs.get(variables["run"])
            found = run if run and run.project == variables["project"] else None
            return {
                "project": {"run": found and {"historyLineCount": len(found.history) or None, "state": found.state}}
            }
        if operation == "CreateRunFiles":
            files = [{"name": f, "uploadUrl": f"{self.url}/upload/{variables['run']}/{f}"} for f in variables["files"]]
            return {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}
        if operation == "OrganizationCoreWeaveOrganizationID":
            return {"entity": {"organization": None}}
        if operation in {"Viewer", "GetDefaultEntity"}:
            return {"viewer": {"id": "user", "entity": ENTITY, "username": "ada", "teams": {"edges": []}}}
        if operation == "NotifyScriptableRunAlert":
            if variables["runName"] not in self.runs:
                return None
            self.alerts.append(variables)
            return {"notifyScriptableRunAlert": {"success": True}}
        return self._views(operation, variables)

    def _views(self, operation: str, variables: Json) -> Json | None:
        if operation == "RdcViews":
            if variables["project"] not in {run.project for run in self.runs.values()}:
                return {"project": None}
            asked = (variables["project"], variables["type"])
            found = [view for view in self.views.values() if (view.project, view.type) == asked]
            first = int(variables["after"] or 0)
            page = found[first : first + self.page]
            edges = [{"node": view.node(), "cursor": ""} for view in page]
            more = {"endCursor": str(first + self.page), "hasNextPage": len(found) > first + self.page}
            return {"project": {"allViews": {"edges": edges, "pageInfo": more}}}
        if operation == "RdcUpsertView":
            inserted = variables["id"] is None
            self.created_views += inserted
            identity = f"view{self.created_views}" if inserted else variables["id"]
            created = f"2026-01-01T00:00:00.{self.created_views:06d}" if inserted else ""
            values = {key: variables[key] for key in ("project", "type", "name", "title", "description", "spec")}
            before = self.views.get(identity)
            self.views[identity] = StoredView(identity, createdAt=before.createdAt if before else created, **values)
            return {"upsertView": {"view": {"id": identity, "name": variables["name"]}, "inserted": inserted}}
        if operation == "RdcDeleteView":
            return None if self.views.pop(variables["id"], None) is None else {"deleteView": {"success": True}}
        return None

    def _upsert(self, variables: Json) -> Json:
        inserted = variables["name"] not in self.runs
        run = self.runs.setdefault(variables["name"], StoredRun(variables["project"], variables["name"]))
        for key in ("displayName", "groupName", "jobType", "tags", "config", "summaryMetrics"):
            if variables.get(key) is not None:
                setattr(run, key, variables[key])
        return {"upsertBucket": {"bucket": run.bucket(), "inserted": inserted}}

    def stream(self, run: StoredRun, body: Json) -> None:
        """Store one chunk of the file stream: lines replace what is at their offset and after it."""
        files = {} if self.fault is Fault.FORGET_FILES else body.get("files") or {}
        for name, chunk in files.items():
            offset, lines = chunk["offset"], chunk["content"]
            if name == "wandb-summary.json":
                run.summaryMetrics = lines[-1]
            elif name == "output.log":
                run.console.update({offset + index: line for index, line in enumerate(lines)})
            else:
                kept = run.history if name == "wandb-history.jsonl" else run.events
                kept[offset:] = [json.loads(line) for line in lines]
        if body.get("complete") and self.fault is not Fault.FORGET_ENDS:
            run.exit_code = body.get("exitcode")


class _Server(ThreadingHTTPServer):
    """A thread per connection; none of them is waited for at the end."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, backend: Backend, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.backend = backend

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    protocol_version = "HTTP/1.1"

    @property
    def backend(self) -> Backend:
        return self.server.backend

    def do_POST(self) -> None:
        body = self._body()
        backend = self.backend
        stream = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
        if self.path == "/graphql":
            request = json.loads(body)
            named = re.match(r"\s*(?:query|mutation)\s+(\w+)", request["query"])
            operation = named.group(1) if named else ""
            if self._misbehaves(operation or "graphql", stores=operation in STORING):
                return
            with backend.lock:
                data = backend.graphql(operation, request.get("variables") or {})
            errors = {} if data is not None else {"errors": [{"message": f"unknown operation {operation!r}"}]}
            self._answer({"data": data, **errors})
        elif stream and not self._misbehaves("file_stream", stores=True):
            with backend.lock:
                backend.stream(backend.runs[stream.group(1)], json.loads(body))
            self._answer({"exitcode": None, "limits": {}, "stopped": backend.stop_requested})
        elif not stream:
            self._answer({}, 404)

    def do_PUT(self) -> None:
        body = self._body()
        if self._misbehaves("upload", stores=True):
            return
        _, _, run, name = unquote(self.path).split("/", 3)
        with self.backend.lock:
            self.backend.runs[run].files[name] = body
        self._answer({})

    def do_GET(self) -> None:
        if not self._misbehaves("get", stores=False):
            self._answer({}, 200 if self.path in {"/", "/healthz"} else 404)

    def _misbehaves(self, operation: str, *, stores: bool) -> bool:
        """Count the request; act out the fault and return True where there is no proper answer."""
        backend = self.backend
        backend.operations[operation] += 1
        fault = backend.fault
        if fault is Fault.SLOW:
            backend.closing.wait(backend.delay)
            return False
        if fault is Fault.ERROR:
            self._answer({"error": "injected"}, 500)
        elif fault is Fault.QUOTA and stores:
            self._answer({"error": "storage quota exceeded"}, 403)
        elif fault is Fault.HANG:
            backend.closing.wait()
            self.close_connection = True
        elif fault is Fault.DROP:
            self.close_connection = True
        else:
            return False
        return True

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _answer(self, content: Json, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""
