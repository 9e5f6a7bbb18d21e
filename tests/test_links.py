"""Every file that a document points to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    here = document.parent.relative_to(ROOT)
    links = [str(here / link) for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text)]
    links += re.findall(r"`((?:mrkd_edu|docs|notebooks|benchmarks|data_scripts)/[\w./]+)`", text)
    links += re.findall(r"python ((?:benchmarks|data_scripts)/[\w./]+)", text)
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing, f"{document.name} points to {missing}"


def test_the_readme_has_its_picture() -> None:
    assert re.search(r"!\[[^\]]{20,}\]\(docs/images/", (ROOT / "README.md").read_text(encoding="utf-8"))
