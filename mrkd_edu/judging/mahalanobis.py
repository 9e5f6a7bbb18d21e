r"""How far is far? A distance that knows what the student's residuals look like on normal images.

The cosine distance (`distance.py`) counts every channel alike. But a student leaves some directions of the teacher's
features unexplained on every normal image, and a residual there means nothing; a residual in a direction that is
always explained is an alarm, however short. So learn from normal images what a residual

.. math:: r_k = T_k - a S_k

is usually like, its mean :math:`\mu_k` and its covariance :math:`\Sigma_k` over all positions, and measure the next one
in those units (Mahalanobis, 1936):

.. math:: d_k = \sqrt{(r_k - \mu_k)^\top \, \Sigma_k^{-1} \, (r_k - \mu_k) \, / \, C_k}

about 1 where all is as usual. :math:`a` brings the student to the teacher's length, one number an image (see
`distance.match_length`), as the student's own length means nothing. The covariance is shrunk,
:math:`\Sigma \leftarrow (1 - \gamma) \Sigma + \gamma \, \bar{\sigma}^2 I` with :math:`\bar{\sigma}^2` the mean variance
of a channel, so that directions in which normal images hardly vary do not rule. :math:`\gamma = 1` is the plain length
of the residual.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrkd_edu.distance import match_length

SHRINKAGE = 0.3  # gamma; docs/recipe.md has the measurements


class Mahalanobis(nn.Module):
    r"""Distances of teacher and student in units of the residuals of normal images. :math:`|r_k|` until `learn`.

    Args:
        channels: of the scales.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> t = [torch.randn(4, 3, 16, 16, generator=rng) * torch.tensor([9.0, 1.0, 1.0]).view(1, 3, 1, 1)]
        >>> s = [torch.zeros(4, 3, 16, 16)]  # explains nothing: the residual is the feature
        >>> distance = Mahalanobis((3,))
        >>> distance.learn([t], [s], shrinkage=0)
        >>> round(distance(t, s)[0].square().mean().item(), 2)  # normal images: as usual
        1.0
        >>> odd = [torch.tensor([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]]).view(2, 3, 1, 1)]
        >>> [round(d.item(), 1) for d in distance(odd, [torch.zeros(2, 3, 1, 1)])[0]]  # 9 is usual in channel 1 only
        [0.6, 5.2]
    """

    def __init__(self, channels: tuple[int, ...]):
        super().__init__()
        for k, c in enumerate(channels):
            self.register_buffer(f"mean{k}", torch.zeros(c))
            self.register_buffer(f"whiten{k}", torch.eye(c))

    @torch.no_grad()
    def learn(self, teacher: list[list[Tensor]], student: list[list[Tensor]], shrinkage: float = SHRINKAGE) -> None:
        r"""Take mean and covariance of the residuals from normal images.

        Args:
            teacher, student: batches of maps, each K maps (B, C_k, h_k, w_k).
            shrinkage: :math:`\gamma` in [0, 1].

        Raises:
            ValueError: a residual is NaN or infinite.
        """
        for k in range(len(teacher[0])):
            rows = torch.cat([_rows(t[k] - match_length(t[k], s[k])) for t, s in zip(teacher, student, strict=True)])
            if not rows.isfinite().all():
                raise ValueError("Residuals of normal images are not finite. Train again with --precision fp32.")
            mean = rows.mean(0)  # (C,)
            centred = rows - mean  # (N h w, C)
            covariance = centred.mT @ centred / len(rows)  # (C, C)
            usual = covariance.diagonal().mean().clamp(min=1e-12)  # a student may leave no residual at all
            shrunk = (1 - shrinkage) * covariance + shrinkage * usual * torch.eye(len(mean), dtype=rows.dtype)
            # Sigma^-1 = W W^T, so that the distance is the length of W^T (r - mu).
            whiten = torch.linalg.cholesky(torch.linalg.inv(shrunk))
            getattr(self, f"mean{k}").copy_(mean)
            getattr(self, f"whiten{k}").copy_(whiten)

    def forward(self, teacher: list[Tensor], student: list[Tensor]) -> list[Tensor]:
        """K maps (B, C_k, h_k, w_k) twice to K distances (B, h_k, w_k)."""
        found = []
        for k, (t, s) in enumerate(zip(teacher, student, strict=True)):
            r = (t - match_length(t, s)).movedim(1, -1) - getattr(self, f"mean{k}")  # (B, h, w, C)
            found.append((r @ getattr(self, f"whiten{k}")).square().mean(-1).sqrt())  # (B, h, w)
        return found


def _rows(maps: Tensor) -> Tensor:
    """(B, C, h, w) to (B h w, C), in double precision on the CPU."""
    return maps.movedim(1, -1).flatten(0, 2).double().cpu()
