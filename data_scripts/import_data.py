"""Take a downloaded archive or folder: python data_scripts/import_data.py mvtec_anomaly_detection.tar.xz"""

import typer

from mrkd_edu.app.data import data_import


def main() -> None:
    """Read the command line, and do it."""
    typer.run(data_import)


if __name__ == "__main__":
    main()
