"""Pack a bundle for a room without a network: python data_scripts/bundle_data.py bundle.zip"""

import typer

from mrkd_edu.app.data import data_bundle


def main() -> None:
    """Read the command line, and do it."""
    typer.run(data_bundle)


if __name__ == "__main__":
    main()
