"""`python -m benchmarks.data`: how fast and how well data are converted, derived and checked."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.data import checking, normals

SIZE = (288, 384)


def main() -> None:
    """Measure, print a line for each, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument("--images", type=int, default=20, help="images of each kind")
    parser.add_argument("--nyuv2", type=Path, help="uncropped NYU-V2 in MTAN's layout, to compare its normals")
    parser.add_argument("--depth-step", type=float, help="metres, if its depth is rounded; default: as of a Kinect")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--check", type=Path, metavar="ROOT", help="a good root: speed and margins of its check alone")
    parser.add_argument("--dataset", help="what that root is; default: by its folders")
    chosen = parser.parse_args()
    if chosen.check:
        checking.print_margins(chosen.check, chosen.dataset)
        return
    results = {"normals of rooms": normals.measure(normals.of_rooms(chosen.images, SIZE))}
    if chosen.nyuv2:
        images = normals.of_nyuv2(chosen.nyuv2, chosen.images, SIZE, chosen.depth_step)
        results["normals of NYU-V2"] = normals.measure(images)
    for title, result in results.items():
        print(normals.line(title, result))
    if chosen.json:
        chosen.json.write_text(
            json.dumps({title: asdict(result) for title, result in results.items()}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
