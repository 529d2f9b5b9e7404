"""`python -m benchmarks.shortcuts [--quick]`: print, as Markdown, how well maps without content tell regions apart."""

import argparse

import torch

from benchmarks.shortcuts import alone, mapped


def main() -> None:
    """Run all parts, or those named by --only."""
    parser = argparse.ArgumentParser(description="Accuracy of the contrast on maps without content, against chance.")
    parser.add_argument("--quick", action="store_true", help="fewer images and steps")
    parser.add_argument("--only", choices=("alone", "mapped"), nargs="+", default=("alone", "mapped"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    columns = ("maps and regions", "contrast", "accuracy", "chance", "ratio", "of the largest")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for part in options.only:
        if part == "alone":
            rows = alone.run(20 if options.quick else 100)
        else:
            rows = mapped.run(20, 1) if options.quick else mapped.run(120, 4)
        for row in rows:
            accuracy = f"{row.accuracy:.4f} ± {row.error:.4f}"
            cells = (row.what, row.contrast, accuracy, f"{row.chance:.4f}", f"{row.ratio:.1f}", f"{row.largest:.2f}")
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
