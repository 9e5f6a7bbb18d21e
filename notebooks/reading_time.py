"""How long a lesson takes: reading at 180 words a minute, code at 10 lines a minute, and writing.

    python notebooks/reading_time.py          a table of all lessons

The header of each lesson says these minutes; a test holds it to them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
WORDS, LINES = 180, 10  # a minute
BEGIN, LINE, GUESS, LOOK = 2.0, 0.7, 1.0, 1.0  # minutes: to begin to write, a line written, a prediction, a figure


def minutes(path: Path) -> int:
    """Minutes for a reader who writes, in steps of five."""
    words = lines = built = guesses = figures = 0.0
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            source = source.split("## Exercises")[0]
            for solution in re.findall(r"```python\n(.*?)```", source, flags=re.DOTALL):
                built += BEGIN + LINE * sum(bool(line.strip()) for line in solution.splitlines())
            read = re.sub(r"<details><summary>(?:Hint \d|Solution).*?</details>", "", source, flags=re.DOTALL)
            words += len(read.split())
            figures += source.startswith("*Figure")
            if source.startswith("## References"):
                break
        else:
            guesses += len(re.findall(r"\bguess\(", source))
            lines += sum(bool(line.strip()) for line in source.splitlines())
    total = words / WORDS + lines / LINES + built + GUESS * guesses + LOOK * figures
    return int(5 * -(-total // 5))


if __name__ == "__main__":
    for lesson in sorted(FOLDER.glob("[0-9]*.ipynb")):
        print(f"{minutes(lesson):4} min  {lesson.stem}")
