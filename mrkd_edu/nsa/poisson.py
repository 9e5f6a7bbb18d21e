"""Poisson blending: put a patch into a picture so that no seam shows.

One function on numpy images. `ilm.py` uses it for synthetic anomalies that blend in, like stains and wear.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dstn, idstn


def poisson_blend(patch: np.ndarray, place: np.ndarray, region: np.ndarray | None = None) -> np.ndarray:
    r"""Blend a patch into a place of the same size, so that no seam shows.

    The new picture f keeps the differences between neighbours of the patch g, and the values of the place f*
    on the rim (Perez, Gangnet, Blake, "Poisson Image Editing", SIGGRAPH 2003, equations 3 and 9):

        laplace f = div v,   v = grad g inside the region, grad f* elsewhere,   f = f* on the rim

    For the correction u = f - f*, which is 0 on the rim, this reads laplace u = div(v - grad f*), and
    v - grad f* is grad(g - f*) inside the region and 0 elsewhere. A sine transform turns the Laplacian into a
    multiplication, so one transform there and back gives the exact solution. (OpenCV's `seamlessClone` is
    slower and raises an error on regions one or two pixels thin.)

    Args:
        patch: uint8 RGB, (h, w, 3), what to blend in.
        place: uint8 RGB, (h, w, 3), what is there now.
        region: bool, (h, w), where the patch may show; None for everywhere.

    Returns:
        uint8 RGB, (h, w, 3). The outermost pixels are those of the place.

    Example:
        >>> place = np.full((8, 8, 3), 90, np.uint8)
        >>> patch = np.full((8, 8, 3), 200, np.uint8)
        >>> bool((poisson_blend(patch, place) == place).all())  # a flat patch has no differences to keep
        True
    """
    if min(place.shape[:2]) < 3:  # all rim, nothing inside
        return place.copy()
    blended = place.astype(np.float32)  # (h, w, 3)
    difference = patch.astype(np.float32) - blended
    down, right = np.diff(difference, axis=0), np.diff(difference, axis=1)  # (h-1, w, 3), (h, w-1, 3)
    if region is not None:  # a step counts where both its ends are in the region
        down *= (region[1:] & region[:-1])[..., None]
        right *= (region[:, 1:] & region[:, :-1])[..., None]
    divergence = np.diff(down, axis=0)[:, 1:-1] + np.diff(right, axis=1)[1:-1]  # (h-2, w-2, 3)

    def eigenvalues(n: int) -> np.ndarray:  # of the second difference over n pixels with zeros at both ends
        return 2 * np.cos(np.pi * np.arange(1, n + 1, dtype=np.float32) / (n + 1)) - 2

    h, w = divergence.shape[:2]
    laplace = eigenvalues(h)[:, None] + eigenvalues(w)  # (h-2, w-2), never 0
    spectrum = dstn(divergence, type=1, axes=(0, 1)) / laplace[..., None]
    blended[1:-1, 1:-1] += idstn(spectrum, type=1, axes=(0, 1))
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8)
