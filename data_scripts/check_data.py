"""What is in a folder of images, and what is wrong with it: python data_scripts/check_data.py data/my_part"""

import typer

from mrkd_edu.app.data import data_check


def main() -> None:
    """Read the command line, and do it."""
    typer.run(data_check)


if __name__ == "__main__":
    main()
