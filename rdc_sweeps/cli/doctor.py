"""doctor: check whether runs can train on this machine."""

from collections import Counter
from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from rdc_sweeps.cli.console import data, messages, print_json
from rdc_sweeps.cli.options import ExperimentsOption, JsonOption, ProfileOption, RootOption
from rdc_sweeps.settings import load_settings

STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    profile: ProfileOption = None,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine: GPUs, Slurm, disks, data, W&B, weights.

    Also lists package versions. The output contains no secrets.
    """
    settings = load_settings(profile=profile, root=root, experiments=experiments)
    from rdc_sweeps.doctor.examination import examine

    findings = list(examine(settings))
    counts = Counter(finding.level for finding in findings)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        shown = Table.grid(padding=(0, 1))
        for finding in findings:
            text = Text(finding.text, overflow="fold")
            if finding.remedy:
                text.append(f"\n→ {finding.remedy}", style=STYLES[finding.level])
            shown.add_row(Text(finding.level, style=STYLES[finding.level]), Text(finding.topic, style="bold"), text)
        data.print(shown)
    messages.print(f"{counts['problem']} problems, {counts['warning']} warnings", highlight=False)
    if counts["problem"]:
        raise typer.Exit(1)
