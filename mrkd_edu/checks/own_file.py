"""`my_mrkd.py`: the method as the learner wrote it, a file that runs on its own.

It is written anew whenever a part is solved. What is not solved yet is imported from the library, so that the file is
whole at any time; the last lines, which put the parts together, are given.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from mrkd_edu.checks.catalogue import find, module_of
from mrkd_edu.lessons import notes
from mrkd_edu.runtime.writing import NotWritten, whole_file

NAME = "my_mrkd.py"
PARTS = (  # in the order of the file; each may use those before it
    "02.standardise",
    "02.at_image_size",
    "03.UpBlock",
    "03.Student",
    "03.cosine_distance",
    "03.loss",
    "03.anomaly_map",
    "04.leakage",
    "05.paste_patch",
    "06.random_mask",
    "06.GenerationModule",
    "06.flm",
    "07.step",
    "06b.auroc",
    "06b.threshold",
)
HEADER = '''"""Masked reverse knowledge distillation, written by hand: {written} of {parts} parts are mine.

    python my_mrkd.py          trains on the slabs, and says what it finds and what it copies
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import nn

from mrkd_edu.distance import enlarge, gaussian_blur
from mrkd_edu.lessons.own_model import draw_boxes, main
from mrkd_edu.teacher import Teacher
'''
TOGETHER = '''
DROP = (0.2, 0.2, 0.2)  # lambda of each scale


class MyMRKD:
    """Teacher, student and generation modules, from normal images (N, 3, S, S) alone."""

    def __init__(self, normal, seed=0):
        torch.manual_seed(seed)
        self.normal, self.rng, self.drawn = normal, np.random.default_rng(seed), torch.Generator().manual_seed(seed)
        self.teacher = Teacher(strides=(8, 16, 32))
        self.known = self.teacher(normal)  # T_k of the normal images, (N, C_k, h_k, w_k)
        self.student = Student(self.teacher.channels, 128)
        self.generate = nn.ModuleList(GenerationModule(c) for c in self.teacher.channels)

    def see(self, images):
        return [standardise(t, known) for t, known in zip(self.teacher(images), self.known)]

    def spoil(self, images):
        """A patch from another normal image in each: (B, 3, S, S) to the same."""
        spoilt = []
        for image in images.permute(0, 2, 3, 1).numpy():
            source = self.normal[self.rng.integers(len(self.normal))].permute(1, 2, 0).numpy()
            spoilt.append(paste_patch(image, source, *draw_boxes(image.shape[0], self.rng))[0])
        return torch.from_numpy(np.stack(spoilt)).permute(0, 3, 1, 2)

    def fit(self, steps=240, batch=8, lr=0.005, progress=iter):
        learning = [*self.student.parameters(), *self.generate.parameters()]
        optimiser = torch.optim.Adam(learning, lr=lr, betas=(0.5, 0.999))
        pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, steps, pct_start=0.1, cycle_momentum=False)
        losses = []
        for _ in progress(range(steps)):
            normal = self.normal[torch.from_numpy(self.rng.choice(len(self.normal), batch))]
            self.student.train()
            parts = self.see, self.student, self.generate
            losses.append(step(*parts, optimiser, normal, self.spoil(normal), self.drawn))
            pace.step()
        self.student.eval()
        return losses

    @torch.no_grad()
    def restore(self, T):
        return flm(self.student(T), self.generate, DROP, False, None)

    @torch.no_grad()
    def __call__(self, images):
        T = self.see(images)
        return anomaly_map(T, self.restore(T), images.shape[-1], images.shape[-1] / 64)  # (B, S, S)


if __name__ == "__main__":
    main(MyMRKD, leakage, auroc, threshold)
'''


def text() -> str:
    """The file as the notes have it."""
    solved = {name: source for name, source in notes.read("solved").items() if name in PARTS}
    given: dict[str, list[str]] = {}
    for name in PARTS:
        if name not in solved:
            lesson, title = name.split(".", 1)
            given.setdefault(module_of(lesson), []).append(title)
    imports = [f"from {module} import {', '.join(titles)}\n" for module, titles in given.items()]
    head = HEADER.format(written=len(solved), parts=len(PARTS))
    if imports:
        head += "\n# Not written yet: the library's.\n" + "".join(imports)
    own = [f"\n\n{solved[name].rstrip()}\n" for name in PARTS if name in solved]
    return head + "".join(own) + "\n" + TOGETHER


def write() -> Path | None:
    """Write `my_mrkd.py` beside the notebook; None where the folder cannot be written."""
    path = notes.folder() / NAME
    try:
        with whole_file(path) as file:
            file.write(text())
    except NotWritten:
        return None
    return path


def load() -> ModuleType:
    """`my_mrkd.py` as a module: the learner's parts, and the library's for what is not solved.

    Where the file is missing, or was changed by hand and does not run any more, it is made anew in memory.
    """
    path = notes.folder() / NAME
    if path.is_file():
        spec = importlib.util.spec_from_file_location("my_mrkd", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            return module
        except Exception as error:  # of any kind: a person may have edited it
            print(f"{path} does not run any more ({type(error).__name__}: {error}); going on with what was solved.")
    module = ModuleType("my_mrkd")
    exec(compile(text(), NAME, "exec"), module.__dict__)
    return module


def earlier(name: str) -> Any:
    """A part of an earlier lesson: the learner's where it is solved, else the library's.

    Args:
        name: of the exercise, `"03.loss"`.

    Raises:
        ValueError: there is no such exercise.
    """
    exercise = find(name)
    if name in PARTS and name in notes.read("solved"):
        return getattr(load(), exercise.title, exercise.answer)
    return exercise.answer
