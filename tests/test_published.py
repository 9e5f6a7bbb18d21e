"""The paper's numbers, as they are carried over."""

from __future__ import annotations

import csv

import pytest

from mrkd_edu.study.published import PUBLISHED_MEASURES, SOURCE, published


def printed_averages() -> dict[str, float]:
    with SOURCE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    (average,) = (row for row in rows if row.pop("category") == "average")
    return {name: float(value) for name, value in average.items()}


@pytest.mark.parametrize("measure", PUBLISHED_MEASURES)
def test_the_categories_average_to_what_the_paper_prints(measure: str) -> None:
    """A digit lost in carrying the table over would show here."""
    table = published(measure)
    assert len(table) == 15
    for variant, column in (("rd", "rd4ad"), ("mrkd", "mrkd")):
        values = [row[variant] for row in table.values()]
        assert all(0.7 < v <= 1 for v in values)  # shares, not percent
        assert 100 * sum(values) / len(values) == pytest.approx(printed_averages()[f"{column}_{measure}"], abs=0.051)


def test_the_table_names_its_source() -> None:
    assert "Knowledge-Based Systems 280 (2023) 110982" in SOURCE.read_text(encoding="utf-8").splitlines()[0]


def test_a_measure_that_the_paper_does_not_print_is_refused() -> None:
    with pytest.raises(ValueError, match="leakage"):
        published("leakage")
