"""From one's own photos to a data set: python data_scripts/own_photos.py --good photos/good --out data/my_part"""

import typer

from mrkd_edu.app.data import data_photos


def main() -> None:
    """Read the command line, and do it."""
    typer.run(data_photos)


if __name__ == "__main__":
    main()
