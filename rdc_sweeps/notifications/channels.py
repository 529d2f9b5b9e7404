"""Channels: programs that pass a message on, each in a process of its own that is killed when its time is over."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rdc_sweeps.notifications.messages import Message
from rdc_sweeps.processes.environment import PYTHON_COMMAND, program_environment
from rdc_sweeps.settings import Notify

MOST_WORDS = 200
"""Characters of a problem that are recorded."""


@dataclass(frozen=True)
class Channel:
    """A way to pass messages on.

    Attributes:
        name: Its setting.
        words: The program, which reads the message from its standard input and ends with 0.
        own: Whether it is a program of this package: it reads JSON, and says on its standard output what went wrong.
            What a command of the user says is not kept, since it may hold secrets.
    """

    name: str
    words: tuple[str, ...]
    own: bool

    def send(self, message: Message, seconds: float) -> str | None:
        """Send a message; returns what went wrong, if anything did. Takes about `seconds` at most."""
        content = json.dumps(message.to_data()) if self.own else f"{message.text}\n"
        environment = {**os.environ, **_variables(message)} if not self.own else program_environment()
        with tempfile.TemporaryFile() as incoming, tempfile.TemporaryFile() as outgoing:
            # Files and not pipes, which a grandchild may keep open.
            incoming.write(content.encode())
            incoming.seek(0)
            try:
                process = subprocess.Popen(
                    self.words,
                    stdin=incoming,
                    stdout=outgoing if self.own else subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                    start_new_session=True,
                )
            except OSError as error:
                return f"{Path(self.words[0]).name}: {error.strerror}"
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                return f"did not end within {seconds:g} s"
            finally:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            if code == 0:
                return None
            outgoing.seek(0)
            said = outgoing.read(4 * MOST_WORDS).decode(errors="replace").strip()
            return said[:MOST_WORDS] or f"ended with exit code {code}"


def channels(notify: Notify, root: Path) -> list[Channel]:
    """The channels of the settings."""
    found: list[Channel] = []
    if notify.command:
        found.append(Channel("command", notify.command, own=False))
    if notify.webhook_file is not None:
        # The program reads the file: the URL is in no list of processes and no environment.
        found.append(_own("webhook_file", "webhook", str(notify.webhook_file)))
    if notify.wandb:
        found.append(_own("wandb", "alert", str(root)))
    return found


def _own(name: str, module: str, *arguments: str) -> Channel:
    words: Sequence[str] = (*PYTHON_COMMAND, "-m", f"rdc_sweeps.notifications.{module}", *arguments)
    return Channel(name, tuple(words), own=True)


def _variables(message: Message) -> Mapping[str, str]:
    """What a command of the user finds in its environment, besides the text on its standard input."""
    # Not RDC_SWEEP_..., which are settings.
    return {
        "RDC_NOTIFY_TITLE": message.title,
        "RDC_NOTIFY_OCCASION": message.occasion,
        "RDC_NOTIFY_ABOUT": message.about,
        "RDC_NOTIFY_RUNS": " ".join(message.runs),
    }
