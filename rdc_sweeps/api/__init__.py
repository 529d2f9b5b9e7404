"""The Python API: what the commands call, for notebooks and scripts."""

from rdc_sweeps.api.data import check_data, import_data, pack_data
from rdc_sweeps.api.runs import compare, figures, probe
from rdc_sweeps.api.studies import tune, tune_requested
from rdc_sweeps.api.tables import Table, claims, load_table, open_site, plan, report, run_table, write_report

__all__ = [
    "Table",
    "check_data",
    "claims",
    "compare",
    "figures",
    "import_data",
    "load_table",
    "open_site",
    "pack_data",
    "plan",
    "probe",
    "report",
    "run_table",
    "tune",
    "tune_requested",
    "write_report",
]
