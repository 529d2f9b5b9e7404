"""`python -m rdc_sweeps` is `rdc-sweep`."""

from rdc_sweeps.cli.main import main

main()
