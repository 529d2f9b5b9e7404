"""The program that sends a message as a W&B alert: `python -m rdc_sweeps.notifications.alert RUNS_FOLDER`.

W&B's alerts belong to runs: this takes the first run of the message that is at W&B, and leaves its state as it is.
"""

import json
import sys
from pathlib import Path
from typing import Any

from rdc_sweeps.errors import RdcError, UsageError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.tracking.identity import Identity
from rdc_sweeps.tracking.mode import require_key
from rdc_sweeps.tracking.project import open_project
from rdc_sweeps.tracking.session import Server

ALERT = """
mutation NotifyScriptableRunAlert($entityName: String!, $projectName: String!, $runName: String!, $title: String!,
                                  $text: String!, $severity: AlertSeverity = INFO, $waitDuration: Duration) {
    notifyScriptableRunAlert(input: {entityName: $entityName, projectName: $projectName, runName: $runName,
                                     title: $title, text: $text, severity: $severity, waitDuration: $waitDuration}) {
        success
    }
}
"""


def alert(root: Path, message: dict[str, Any]) -> None:
    """Send a message.

    Raises:
        UsageError: None of its runs is at W&B.
        UnavailableError: W&B does not answer, or refuses.
    """
    identity = next((found for run in message["runs"] if (found := _at_wandb(RunDirectory(root, run)))), None)
    if identity is None:
        raise UsageError("none of the runs is at W&B, to which an alert belongs; send one with rdc-sweep sync")
    require_key()
    with open_project(identity.project, identity.entity) as project:
        project.execute(
            ALERT,
            {
                "entityName": project.entity,
                "projectName": project.name,
                "runName": identity.run_id,
                "title": message["title"],
                "text": message["text"],
                "severity": "INFO" if message["occasion"] == "ended" else "WARN",
            },
        )


def _at_wandb(run: RunDirectory) -> Identity | None:
    """The identity of a run that the server is known to have."""
    server = Server.load(run.wandb)
    try:
        return Identity.load(run.wandb) if server.rows or server.events else None
    except UsageError:
        return None


def main() -> int:
    """Send the message on the standard input."""
    try:
        alert(Path(sys.argv[1]), json.load(sys.stdin))
    except RdcError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
