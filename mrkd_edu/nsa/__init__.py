"""Natural synthetic anomalies (NSA): what `ilm.py` pastes. Settings by category, and seamless blending."""

from mrkd_edu.nsa.settings import DEFAULT, NSA, PRESETS, estimate_background, foreground, numpy_images, preset

__all__ = ["DEFAULT", "NSA", "PRESETS", "estimate_background", "foreground", "numpy_images", "preset"]
