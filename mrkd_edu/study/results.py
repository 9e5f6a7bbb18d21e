"""`results.csv`: the rows of a benchmark on disk, believed only as far as they prove themselves, and their summary.

pandas groups and averages. Rows are read one by one all the same: one that is damaged must not take the others with it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from rich import box
from rich.markup import escape
from rich.table import Table

from mrkd_edu.model import BASELINES, VARIANTS
from mrkd_edu.runtime.names import tell
from mrkd_edu.runtime.tables import write_table
from mrkd_edu.runtime.writing import alone, read_whole, whole_file
from mrkd_edu.study.evaluate import COPYING, COSTS

KEY = ("category", "variant", "distance", "seed", "backbone", "size", "steps")
MEASURES = ("image_auroc", "pixel_auroc", "aupro", "f1_max", *COPYING, *COSTS)
SHOWN = (*MEASURES[:6], "train_seconds")  # as many as fit into 80 columns; results.csv has all
OWN = {"nn": "euclidean", "gauss": "mahalanobis"}  # baselines with one distance, whatever is asked for
UNREADABLE = "\ufffd"  # stands for bytes that are no text
Row = dict[str, str]
Key = tuple[str, ...]


class Results:
    """`results.csv` in a folder, and beside it `results.keys.json`, which says what each row is a result of.

    Neither is believed unread. A row counts as done if it parses whole, and if the keys know it, by a hash, as it
    stands. Several benchmarks may write into one folder: each row is added to what is there at that moment.
    """

    def __init__(self, folder: str | Path):
        self.path = Path(folder) / "results.csv"
        self.keys_file = self.path.with_suffix(".keys.json")

    def read(self, quiet: bool = False) -> tuple[dict[Key, Row], dict[Key, str]]:
        """Rows by their key, and the names of the runs behind those that count as done; `quiet`: it was said before.

        Raises:
            ValueError: the file is another table than a benchmark's.
        """
        rows = read_results(self.path, quiet)
        try:
            known = json.loads(read_whole(self.keys_file))
            marks = {tuple(entry["key"]): (entry["run"], entry["row"]) for entry in known}
        except FileNotFoundError:
            return rows, {}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            if not quiet:
                tell(f"{self.keys_file} is damaged: what {self.path.name} holds is measured again.")
            return rows, {}
        return rows, {key: marks[key][0] for key, row in rows.items() if key in marks and marks[key][1] == _mark(row)}

    def add(self, key: Key, row: Row, run_name: str) -> None:
        """Write one row more, or in place of an older one."""
        with alone(self.path.with_name(".results.lock"), "", lambda: None):
            rows, keys = self.read(quiet=True)
            rows[key], keys[key] = row, run_name
            write_table(self.path, KEY + MEASURES, (row.values() for row in rows.values()))
            entries = [{"key": k, "run": run, "row": _mark(rows[k])} for k, run in keys.items()]
            with whole_file(self.keys_file) as file:
                file.write(json.dumps(entries, indent=1) + "\n")


def read_results(path: str | Path, quiet: bool = False) -> dict[Key, Row]:
    """Rows of a `results.csv` by their key; empty where there is no file yet.

    A row that does not parse whole is left out, and that is said.

    Raises:
        ValueError: the file is another table than a benchmark's.
    """
    path = Path(path)
    try:
        text = read_whole(path).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    lines = text.replace("\0", UNREADABLE).splitlines()  # one row a line: names have no line breaks, see `names.py`
    if not lines:
        return {}
    if _values(lines[0]) != KEY + MEASURES:
        raise ValueError(f"{path} is not a benchmark's table (its columns differ). Choose another --out.")
    rows, broken = {}, 0
    for line in lines[1:]:
        values = _values(line)
        row = dict(zip(KEY + MEASURES, values, strict=False))
        if len(values) == len(KEY + MEASURES) and _parses(row):
            rows[tuple(row[name] for name in KEY)] = row
        else:
            broken += 1
    if broken and not quiet:
        tell(f"{path}: {broken} damaged {'row was' if broken == 1 else 'rows were'} left out.")
    return rows


def _values(line: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([line]), ()))
    except csv.Error:
        return ()


def _parses(row: Row) -> bool:
    """Whether a row is one that was written here: whole numbers, measures that are finite or empty."""
    try:
        whole = all(int(row[name]) >= 0 for name in ("seed", "size", "steps"))
        finite = all(math.isfinite(float(row[name])) for name in MEASURES if row[name])
    except ValueError:
        return False
    known = row["variant"] in (*BASELINES, *VARIANTS) and bool(row["category"])
    return whole and finite and known and UNREADABLE not in "".join(row.values())


def _mark(row: Row) -> str:
    """A hash of a row as it stands."""
    return hashlib.blake2b(json.dumps(row, sort_keys=True).encode(), digest_size=8).hexdigest()


def summary(rows: Iterable[Row]) -> Table:
    """Means over the seeds, with their standard deviation below, as a table that fits into 80 columns."""
    frame = pd.DataFrame(rows)
    frame[list(SHOWN)] = frame[list(SHOWN)].apply(pd.to_numeric)  # what could not be measured is NaN
    own = frame["variant"].isin(list(OWN))
    if frame.loc[~own, "distance"].nunique() > 1:
        frame.loc[~own, "variant"] += "\n" + frame.loc[~own, "distance"]
    groups = frame.groupby(["category", "variant"], sort=False)
    seeds = ", ".join(map(str, sorted(set(groups.size()))))
    title = f"mean ± standard deviation over seeds (number of seeds: {seeds})"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("category", "variant", *SHOWN):
        header = "train\ns" if name == "train_seconds" else name.replace("_", "\n")
        table.add_column(header, justify="right" if name in SHOWN else "left", overflow="fold")
    shown = None
    for (category, variant), members in groups:
        if shown not in (None, category):
            table.add_section()
        cells = [mean_and_spread(members[m], 1 if m in COSTS else 3) for m in SHOWN]
        table.add_row("" if category == shown else escape(category), variant, *cells)
        shown = category
    return table


def mean_and_spread(values: pd.Series, digits: int) -> str:
    """Mean, and below it the sample standard deviation; the mean alone for one value, a dash for none.

    Example:
        >>> mean_and_spread(pd.Series([0.9, 0.8, None]), 3)
        '0.850\\n±0.071'
    """
    known = values.dropna()
    if known.empty:
        return "-"
    mean = f"{known.mean():.{digits}f}"
    return mean if len(known) == 1 else f"{mean}\n±{known.std():.{digits}f}"
