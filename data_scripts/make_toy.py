"""Write the toy data set: python data_scripts/make_toy.py data/toy --size 256 --seed 0"""

from __future__ import annotations

import argparse

from mrkd_edu.toy import CATEGORIES, make_toy


def main() -> None:
    """Read the command line, write the data set, say where it is."""
    parser = argparse.ArgumentParser(description="Write the toy data set in the MVTec layout.")
    parser.add_argument("root", help="folder that will hold the category's folder")
    parser.add_argument("--category", default="metal", choices=list(CATEGORIES))
    parser.add_argument("--train", type=int, default=80, help="normal training pictures")
    parser.add_argument("--test-good", type=int, default=20, help="normal test pictures")
    parser.add_argument("--test-defective", type=int, default=30, help="defective test pictures")
    parser.add_argument("--size", type=int, default=256, help="side of a picture in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--strengths", type=float, nargs=2, default=(0.15, 1.0), help="of test defects: 0 is none, 1 is obvious"
    )
    options = vars(parser.parse_args())
    try:
        print(make_toy(**options, progress=True))
    except (FileExistsError, ValueError) as problem:
        parser.exit(2, f"make_toy: {problem}\n")


if __name__ == "__main__":
    main()
