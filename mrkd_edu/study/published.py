"""What the paper prints for MVTec AD, Tables 1 and 2: numbers to compare with, none of them measured here.

They are those of Jiang, Cao and Shen (2023): WideResNet-50-2 as the teacher, 256 pixels, 200 epochs. Beside the paper's
method stands its baseline, RD4AD, which is our variant `rd`. There is one number for each category, and no spread.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

SOURCE = Path(__file__).with_name("paper_tables.csv")
PAPERS_TEACHER, PAPERS_SIZE = "wide_resnet50_2", 256  # pixels
PUBLISHED_MEASURES = ("image_auroc", "pixel_auroc", "aupro")
COLUMNS = {"rd": "rd4ad", "mrkd": "mrkd"}  # our variant: its name in the table


def published(measure: str) -> dict[str, dict[str, float]]:
    """One measure of the paper's tables.

    Args:
        measure: `"image_auroc"`, `"pixel_auroc"` or `"aupro"`.

    Returns:
        Category to variant (`"rd"`, `"mrkd"`) to a share between 0 and 1, in the paper's order; its row of
        averages is left out.

    Raises:
        ValueError: the paper does not print this measure.

    Example:
        >>> published("image_auroc")["cable"]
        {'rd': 0.95, 'mrkd': 0.984}
    """
    if measure not in PUBLISHED_MEASURES:
        raise ValueError(f"The paper prints {', '.join(PUBLISHED_MEASURES)}, but not {measure!r}.")
    columns = {f"{column}_{measure}": variant for variant, column in COLUMNS.items()}
    table = pd.read_csv(SOURCE, comment="#", index_col="category").drop(index="average")[list(columns)]
    return (table.rename(columns=columns) / 100).round(4).to_dict("index")
