"""`python -m rdc_sweeps` is `rdc-sweep`."""

import sys

if not sys.flags.safe_path:
    # The working directory: before anything else is imported, so that no file there stands in for an installed module.
    sys.path.append(sys.path.pop(0))

from rdc_sweeps.cli.main import main

main()
