"""`rdc-sweep`, and `python -m rdc_sweeps`: a signal ends the command in order from its first moments on."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # The working directory: before anything else is imported, so that no file there stands in for an installed module.
    sys.path.append(sys.path.pop(0))

from rdc_sweeps.processes.garbage import lasting_imports
from rdc_sweeps.processes.signals import INTERRUPTED, KEPT, sigterm_interrupts


def main() -> None:
    """Run the command line, and exit."""
    try:
        with sigterm_interrupts():
            with lasting_imports():
                from rdc_sweeps.cli.main import main as run_command

            run_command()
    except KeyboardInterrupt:
        # Before the command line could say it.
        sys.stderr.write(f"{KEPT}\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
