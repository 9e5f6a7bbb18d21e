"""The student: the paper's when the teacher is the paper's, and one that fits for every other teacher."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mrkd_edu.backbones.registry import BACKBONES
from mrkd_edu.distance import distillation_loss
from mrkd_edu.flm import FeatureMasking
from mrkd_edu.student import ResidualBlock, Student
from mrkd_edu.teacher import Teacher


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def millions(module: nn.Module) -> float:
    return round(parameters(module) / 1e6, 1)


# --- the paper's network ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paper() -> tuple[Teacher, Student]:
    teacher = Teacher("wide_resnet50_2", pretrained=False)
    return teacher, Student(teacher)


def test_shapes_are_the_papers(paper: tuple[Teacher, Student]) -> None:
    """Table of the paper, at 256 pixels. On the meta device shapes are computed and nothing else is."""
    teacher, student = (module.to("meta") for module in paper)
    features = teacher(torch.empty(1, 3, 256, 256, device="meta"))
    shapes = [(1, 256, 64, 64), (1, 512, 32, 32), (1, 1024, 16, 16)]
    assert [tuple(t.shape) for t in features] == shapes
    fused = torch.cat([path(t) for path, t in zip(student.bottleneck.mff, features, strict=True)], 1)
    assert tuple(fused.shape) == (1, 3072, 16, 16)
    assert tuple(student.bottleneck(features).shape) == (1, 2048, 8, 8)
    assert [tuple(s.shape) for s in student(features)] == shapes
    assert [len(stage) for stage in student.decoder.stages] == [3, 4, 6]


def test_parameter_counts_are_the_papers(paper: tuple[Teacher, Student]) -> None:
    teacher, student = paper
    assert millions(teacher) == 24.9  # up to layer3
    assert millions(student.decoder) == 24.9
    assert millions(FeatureMasking(teacher.channels).generate) == 24.8


def test_bottleneck_is_the_papers_without_a_layer_that_is_never_called(paper: tuple[Teacher, Student]) -> None:
    """The paper counts 67.3 M. The published RD4AD code, which it builds on, defines one more layer than it
    calls: a 1x1 convolution from 4096 to 2048 channels, with its batch normalisation. We leave it out."""
    _, student = paper
    never_called = 4096 * 2048 + 2 * 2048
    assert millions(student.bottleneck) == 58.9
    assert parameters(student.bottleneck) + never_called == 67_277_824
    assert round(67_277_824 / 1e6, 1) == 67.3


# --- every other teacher ------------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", BACKBONES)
def test_student_fits_its_teacher_and_learns_everywhere(backbone: str) -> None:
    teacher = Teacher(backbone, pretrained=False)
    student = Student(teacher).train()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = teacher(images)
    maps = student(features)
    assert [s.shape for s in maps] == [t.shape for t in features]

    distillation_loss(features, maps).backward()
    without = [name for name, p in student.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "resnet18"])
def test_student_has_the_signs_of_its_teacher(backbone: str) -> None:
    """A ResNet's features end in a ReLU, those of EfficientNet do not; neither do their students'."""
    teacher = Teacher(backbone, pretrained=False)
    student = Student(teacher).train()
    maps = student(teacher(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))))
    assert [bool((s < 0).any()) for s in maps] == [teacher.signed] * 3


@pytest.mark.parametrize("strides", [(2, 4, 8), (8, 16, 32)])
def test_student_fits_other_scales(strides: tuple[int, int, int]) -> None:
    teacher = Teacher(pretrained=False, strides=strides)
    features = teacher(torch.rand(2, 3, 64, 128))
    assert [s.shape for s in Student(teacher)(features)] == [t.shape for t in features]


@pytest.mark.parametrize("kind", ["basic", "bottleneck", "wide"])
def test_residual_block_sizes(kind: str) -> None:
    x = torch.rand(2, 16, 8, 8)
    assert ResidualBlock(16, 16, kind)(x).shape == (2, 16, 8, 8)
    assert ResidualBlock(16, 32, kind, stride=2)(x).shape == (2, 32, 4, 4)
    assert ResidualBlock(16, 8, kind, up=True)(x).shape == (2, 8, 16, 16)
    assert isinstance(ResidualBlock(16, 16, kind).shortcut, nn.Identity)
