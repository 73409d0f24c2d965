"""Moves one silhouette onto another: a horse onto a cameraman, as masses on grids of pixels.

Each silhouette is a picture of 0 and 1, and its pixels are the points of a grid: 7e9 pairs a pass, swept
one axis at a time. Both sides may keep mass to themselves (KL of a reach), as the two have not the same
area: what the horse does not send is destroyed, what the cameraman does not receive is created. The pictures
are scikit-image's `horse` and `camera` (their authors and licences stand in the README). Run by `make demo`:

    python examples/silhouettes.py [--out DIR] [--threads N]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage import data, measure

import monge

BLUR = 0.01  # of the height of the picture: below it the map is blurred
REACH = 0.25  # beyond it mass is rather left than moved
TOLERANCE = 1e-3
SCALE = 3  # pixels of the picture for each of a silhouette
STEP = 12  # pixels from arrow to arrow

SOURCE, TARGET, ARROW = (44, 111, 187), (240, 150, 40), (30, 30, 30)
DESTROYED, CREATED = (178, 24, 43), (27, 120, 55)


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask."""
    parts = measure.label(mask)
    return parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])


def silhouettes() -> tuple[np.ndarray, np.ndarray]:
    """Masses of the horse, 328 x 400, and of the cameraman, 256 x 256: 1 a pixel, or its half."""
    camera = data.camera().reshape(256, 2, 256, 2).mean((1, 3))
    return largest(~data.horse()).astype(np.float32), largest(camera < 70).astype(np.float32)


def transport(source: np.ndarray, target: np.ndarray, threads: int | None) -> monge.LatticeSolution:
    """Both pictures in units of the height of the first, one in the middle of the other."""
    pixel = 1 / source.shape[0]
    other = 1 / target.shape[0]
    middle = (source.shape[1] * pixel - target.shape[1] * other) / 2
    return monge.solve_lattice(
        source / source.sum(), target * (other / pixel) ** 2 / source.sum(),
        spacing=pixel, origin=pixel / 2, target_spacing=other, target_origin=(other / 2, middle + other / 2),
        blur=BLUR, reach=REACH, tolerance=TOLERANCE, threads=threads,
    )  # fmt: skip


def canvas(shape: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", (shape[1] * SCALE, shape[0] * SCALE), "white")


def tint(picture: Image.Image, share: np.ndarray, color: tuple[int, int, int]) -> None:
    """Mixes a colour into the picture, pixel by pixel of the first grid, by a share of 0 to 1."""
    mask = Image.fromarray(np.round(255 * np.clip(share, 0, 1)).astype(np.uint8))
    picture.paste(Image.new("RGB", picture.size, color), mask=mask.resize(picture.size))


def on_first(share: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A picture of the second grid where it lies on the first."""
    side = shape[0]
    small = Image.fromarray(share.astype(np.float32)).resize((side, side))
    out = np.zeros(shape, np.float32)
    left = (shape[1] - side) // 2
    out[:, left : left + side] = np.asarray(small)
    return out


def arrow(draw: ImageDraw.ImageDraw, start: np.ndarray, end: np.ndarray) -> None:
    along = end - start
    length = float(np.hypot(*along))
    if length < 4:
        return
    unit = along / length
    across = np.array([-unit[1], unit[0]])
    neck = end - 6 * unit
    draw.line([tuple(start), tuple(neck)], fill=ARROW, width=1)
    draw.polygon([tuple(end), tuple(neck + 2.5 * across), tuple(neck - 2.5 * across)], fill=ARROW)


def main() -> None:
    parser = argparse.ArgumentParser(description="Moves one silhouette onto another.")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (default: demo)")
    parser.add_argument("--threads", type=int, default=None, help="threads (default: all)")
    arguments = parser.parse_args()

    began = time.perf_counter()
    source, target = silhouettes()
    solution = transport(source, target, arguments.threads)
    print(solution)
    a, b = solution.masses
    moved = solution.transported_mass
    print(
        f"horse {a:.3f}, cameraman {b:.3f}: {moved:.3f} moved, {a - moved:.3f} destroyed, {b - moved:.3f} created"
    )

    shape = source.shape
    arrows = canvas(shape)
    tint(arrows, 0.5 * source, SOURCE)
    tint(arrows, 0.5 * on_first(target, shape), TARGET)
    draw = ImageDraw.Draw(arrows)
    images = np.asarray(solution.a_to_b) * (shape[0] * SCALE)
    for i in range(STEP // 2, shape[0], STEP):
        for j in range(STEP // 2, shape[1], STEP):
            if source[i, j] > 0:
                arrow(draw, SCALE * (np.array([j, i]) + 0.5), images[i, j, ::-1])

    accounts = canvas(shape)
    tint(accounts, 0.15 * np.maximum(source, on_first(target, shape)), (120, 120, 120))
    kept = np.asarray(solution.marginal_a) / np.max(source / source.sum())
    tint(accounts, np.where(source > 0, 1 - kept, 0), DESTROYED)
    density = target * (shape[0] / target.shape[0]) ** 2 / source.sum()
    received = np.asarray(solution.marginal_b) / density.max()
    tint(accounts, on_first(np.where(target > 0, 1 - received, 0), shape), CREATED)

    sheet = Image.new("RGB", (2 * arrows.width + 12, arrows.height + 24), "white")
    write = ImageDraw.Draw(sheet)
    captions = ("where the horse's mass goes", "mass destroyed (red) and created (green)")
    for k, (picture, caption) in enumerate(zip((arrows, accounts), captions, strict=True)):
        left = k * (arrows.width + 12)
        sheet.paste(picture, (left, 24))
        write.text((left + 4, 6), caption, fill="black")
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "silhouettes.png"
    sheet.save(path)
    print(f"wrote {path}\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
