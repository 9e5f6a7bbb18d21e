"""Fetch a public data set: python data_scripts/get_data.py mvtec_ad --category bottle"""

import typer

from mrkd_edu.app.data import data_get


def main() -> None:
    """Read the command line, and do it."""
    typer.run(data_get)


if __name__ == "__main__":
    main()
