"""What a student's code finds where it is graded: torch, numpy, cv2, and of this package no answer.

The process in which it runs sees a package `mrkd_edu` that holds the questions alone: how a function is asked, the
wire, and `check`, which says nothing there. The library, whose functions would answer many an exercise, is not in it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import mrkd_edu

PARTS = ("checks/exercise.py", "checks/probes.py", *(f"assignments/{name}.py" for name in ("limits", "wire", "worker")))
PACKAGE = '''"""Where work is graded, the library is not there: an exercise asks for your own code."""
'''
CHECKS = '''"""`check` and its kin, silent: what counts is decided elsewhere."""


def check(*_, **__):
    pass


grade = check
'''


def write_kit(folder: Path) -> Path:
    """Write the package that a student's code may import into a folder, and give the folder."""
    folder.chmod(0o755)  # whoever runs there may read it
    package = folder / "mrkd_edu"
    source = Path(mrkd_edu.__file__).parent
    for part in PARTS:
        (package / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / part, package / part)
    (package / "__init__.py").write_text(PACKAGE, encoding="utf-8")
    (package / "checks" / "__init__.py").write_text(CHECKS, encoding="utf-8")
    (package / "assignments" / "__init__.py").write_text("", encoding="utf-8")
    return folder
