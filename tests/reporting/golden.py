"""Rendered texts against goldens; `RDC_WRITE_GOLDENS=1 pytest tests/reporting` rewrites them; review the difference."""

import os
import re
from pathlib import Path

GOLDENS = Path(__file__).parent / "goldens"


def check_golden(name: str, text: str) -> None:
    """Compare with a golden file, in which all run ids are the same: they change with the specs' schema."""
    text = re.sub(r"(?<![\w.])[0-9a-f]{16}(?![\w.])", "0123456789abcdef", text)
    golden = GOLDENS / name
    if os.environ.get("RDC_WRITE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
