"""Draw the story of the course: a defect that fades from one student's map in a long training, and stays in another's.

    python docs/draw_fading.py           writes docs/images/fading.webp; first trains two students, for four minutes

Left the slab, in the middle `rd`, right `mrkd`, both in the papers' form, after 15 to 960 steps of one long training
each. All maps are in thresholds of their own model, on one colour scale; a white line is the threshold. Below, the
largest value inside the defect.
"""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from PIL import Image

from mrkd_edu.figures.axes import frameless
from mrkd_edu.figures.heat import outline, overlay, shared_scale, threshold_line
from mrkd_edu.figures.style import colour_of, in_our_style
from mrkd_edu.lessons.the_slab import stages, the_slab

AT = (15, 30, 60, 90, 120, 180, 240, 320, 480, 640, 800, 960)
OUT = Path(__file__).resolve().parent / "images" / "fading.webp"
FRAME, LAST = 700, 3000  # milliseconds
QUALITY = 70


@in_our_style
def frame(step: int) -> Image.Image:
    """The slab and both maps after this many steps, above how far each student got until here."""
    pair = the_slab()
    figure = plt.figure(figsize=(7.4, 5.0), dpi=100)
    rows = figure.subfigures(2, 1, height_ratios=(1.75, 1))
    axes = rows[0].subplots(1, 3)
    rows[0].subplots_adjust(left=0.02, right=0.98, top=0.80, bottom=0.02, wspace=0.06)
    axes[0].imshow(outline(pair.defective, pair.mask))
    axes[0].set_title(f"step {step}", fontsize=15, loc="left")
    for ax, variant in zip(axes[1:], ("rd", "mrkd"), strict=True):
        amap = stages(variant, AT)[step][0]  # (S, S), in thresholds
        inside = amap[pair.mask].max()
        ax.imshow(overlay(pair.defective, amap, shared_scale(1.0)))
        threshold_line(ax, amap)
        verdict = "found" if inside > 1 else "missed"
        ax.set_title(f"{variant}: {verdict}", fontsize=15, loc="left", color=colour_of(variant))
    frameless(*axes)
    curve = rows[1].subplots()
    rows[1].subplots_adjust(left=0.09, right=0.98, top=0.95, bottom=0.30)
    for variant in ("rd", "mrkd"):
        until = [at for at in AT if at <= step]
        inside = [stages(variant, AT)[at][0][pair.mask].max() for at in until]
        curve.plot(until, inside, "o-", color=colour_of(variant), markersize=4)
        curve.annotate(variant, (until[-1], inside[-1]), (6, -4), textcoords="offset points", color=colour_of(variant))
    curve.axhline(1, color="black", linestyle="--", linewidth=1)
    curve.set(xlim=(0, 1060), ylim=(0.85, 1.25), xlabel="training steps", ylabel="thresholds")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    plt.close(figure)
    return Image.open(picture).convert("RGB")


def main() -> None:
    frames = [frame(step) for step in AT]
    times = [FRAME] * (len(frames) - 1) + [LAST]
    frames[0].save(OUT, save_all=True, append_images=frames[1:], duration=times, loop=0, quality=QUALITY, method=6)
    print(f"{OUT.name}: {len(frames)} frames, {OUT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
