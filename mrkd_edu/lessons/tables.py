"""The table that several lessons end in: a row a model, its measures over the seeds."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mrkd_edu.study.results import Row


def seed_table(rows: Sequence[Row], measures: Sequence[str]) -> pd.DataFrame:
    """Mean and deviation over the seeds, as text: a row a variant, a column a measure.

    Args:
        rows: of `course.lesson_rows`, or of a results.csv.
        measures: columns of it. What a variant does not have stands as `-`.

    Returns:
        A table for the page; the deviation divides by n - 1, and is left out where there is one seed.

    Example:
        >>> rows = [{"variant": "rd", "aupro": x, "leakage": None} for x in (0.60, 0.64)]
        >>> print(seed_table(rows, ["aupro", "leakage"]))
                         aupro leakage
        rd       0.620 ± 0.028       -
    """
    frame = pd.DataFrame(rows)
    numbers = frame[list(measures)].apply(pd.to_numeric, errors="coerce")
    by_variant = numbers.groupby(frame["variant"], sort=False)
    mean, deviation = by_variant.mean(), by_variant.std()  # (variants, measures); pandas divides by n - 1
    shown = mean.map("{:.3f}".format) + deviation.map(" \N{PLUS-MINUS SIGN} {:.3f}".format).where(deviation.notna(), "")
    return shown.where(mean.notna(), "-").rename_axis(None)
