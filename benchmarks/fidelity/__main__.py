"""`python -m benchmarks.fidelity`: measures every component and writes docs/fidelity.md."""

import sys

import torch

from benchmarks.fidelity.components import COMPONENTS
from benchmarks.fidelity.table import PAGE, line, page


def main() -> None:
    """Measure, print and write; ends with 1 if a difference is above its bound."""
    torch.set_num_threads(1)
    measured = []
    for component in COMPONENTS:
        measured.append((component, component.measure()))
        print(line(*measured[-1]), end="", flush=True)
    PAGE.write_text(page(measured), encoding="utf-8")
    apart = [component.name for component, differences in measured if differences.agreed > component.bound]
    if apart:
        sys.exit(f"above their bounds: {'; '.join(apart)}")


if __name__ == "__main__":
    main()
