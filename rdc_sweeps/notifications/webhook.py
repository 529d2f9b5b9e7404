"""The program that posts a message to a webhook: `python -m rdc_sweeps.notifications.webhook FILE`.

It never prints the URL, which usually holds a token, nor anything that was derived from it.
"""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SOCKET_SECONDS = 300.0
"""Longer than any time limit of the process."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected message would reach somebody else, or be lost in a login page."""

    def redirect_request(self, *arguments: Any) -> None:
        """Follow none."""


def post(file: Path, message: dict[str, Any]) -> str | None:
    """Post a message to the URL on the first line of a file; returns what went wrong, if anything did."""
    try:
        url = file.read_text(encoding="utf-8").strip().splitlines()[0].strip()
    except (OSError, ValueError, IndexError) as error:
        return f"{file}: cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"
    if not url.startswith(("http://", "https://")):
        return f"{file}: its first line is no http or https URL"
    text = f"{message['title']}\n{message['text']}"
    # `text` is what Slack, Mattermost and Teams show, `content` what Discord shows.
    content = json.dumps({**message, "text": text, "content": text[:2000]}).encode()
    try:
        request = urllib.request.Request(url, content, {"Content-Type": "application/json", "User-Agent": "rdc-sweep"})
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=SOCKET_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except urllib.error.URLError as error:
        reason = error.reason
        return f"no connection ({reason.strerror if isinstance(reason, OSError) else type(reason).__name__})"
    except Exception as error:
        return f"no connection ({type(error).__name__})"


def main() -> int:
    """Post the message on the standard input."""
    problem = post(Path(sys.argv[1]), json.load(sys.stdin))
    if problem:
        print(problem)
    return int(problem is not None)


if __name__ == "__main__":
    sys.exit(main())
