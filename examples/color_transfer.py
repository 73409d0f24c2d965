"""Gives each of two photographs the colours of the other, at full resolution.

Every distinct colour is a point of the RGB cube and its share of the pixels is its weight: 96 615
points against 62 941, six thousand million pairs a pass, of which none is ever stored. The photographs
are scikit-learn's two (their authors and licences stand in the README). Run by `make demo`:

    python examples/color_transfer.py [--out DIR] [--threads N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_image

import monge

BLUR = 0.03  # length in the RGB cube below which colours may mix: more greys the pictures, less speckles them
REACH = 0.4  # length beyond which a colour is rather left out than moved to
TOLERANCE = 1e-2  # of the plan's marginals, L1: far below what an eye sees in a picture
COARSE_BINS = 16  # per channel, for the start


class Palette(NamedTuple):
    """The distinct colours of a photograph, in the unit cube, and where each pixel finds its own."""

    colors: np.ndarray  # (n, 3) float32
    weights: np.ndarray  # (n,) float32, sum 1
    pixels: np.ndarray  # (height, width) index of the colour


def palette(photograph: np.ndarray) -> Palette:
    flat = photograph.reshape(-1, 3)
    codes = flat @ np.array([1 << 16, 1 << 8, 1])
    _, first, pixels, counts = np.unique(
        codes, return_index=True, return_inverse=True, return_counts=True
    )
    colors = (flat[first] / 255).astype(np.float32)
    return Palette(
        colors, (counts / len(flat)).astype(np.float32), pixels.reshape(photograph.shape[:2])
    )


def coarse(fine: Palette) -> tuple[np.ndarray, np.ndarray]:
    """The palette in a few thousand bins: mean colour and mass of each."""
    bins = np.minimum((fine.colors * COARSE_BINS).astype(int), COARSE_BINS - 1)
    _, bin_of = np.unique(bins @ np.array([COARSE_BINS**2, COARSE_BINS, 1]), return_inverse=True)
    mass = np.bincount(bin_of, fine.weights)
    mean = np.stack(
        [np.bincount(bin_of, fine.weights * fine.colors[:, k]) / mass for k in range(3)], axis=1
    )
    return mean.astype(np.float32), mass.astype(np.float32)


def transport(
    source: Palette,
    target: Palette,
    threads: int | None,
    place: Callable[[np.ndarray], Any] = np.asarray,
) -> monge.Solution:
    """Unbalanced on both sides: a colour that the other photograph has nothing like may stay behind.

    `place` puts arrays where the work is to be done, as `lambda v: torch.tensor(v).cuda()` does.
    """
    options = {"blur": BLUR, "reach": REACH, "threads": threads}
    (x, a), (y, b) = (map(place, coarse(side)) for side in (source, target))
    fine_x, fine_a, fine_y, fine_b = (
        place(v) for v in (source.colors, source.weights, target.colors, target.weights)
    )
    start = monge.solve_sample(x, y, a, b, tolerance=1e-4, **options).plan
    # Potentials are functions of the colour: they extend from the bins to every colour by one pass.
    potentials = (start.potential(fine_x), start.T.potential(fine_y))
    return monge.solve_sample(
        fine_x, fine_y, fine_a, fine_b,
        start=potentials, tolerance=TOLERANCE, check_every=1, **options,
    )  # fmt: skip


def recolored(photograph: Palette, images: np.ndarray) -> Image.Image:
    return Image.fromarray(
        np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)[photograph.pixels]
    )


def side_by_side(rows: list[list[Image.Image]], captions: list[list[str]]) -> Image.Image:
    width, height = rows[0][0].size
    gap = 8
    sheet = Image.new("RGB", (2 * width + gap, 2 * height + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            at = (j * (width + gap), i * (height + gap))
            sheet.paste(picture, at)
            label = draw.textbbox((at[0] + 8, at[1] + 8), captions[i][j])
            draw.rectangle((label[0] - 4, label[1] - 3, label[2] + 4, label[3] + 3), fill="white")
            draw.text((at[0] + 8, at[1] + 8), captions[i][j], fill="black")
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Gives each of two photographs the colours of the other."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), help="folder for the pictures (default: demo)"
    )
    parser.add_argument("--threads", type=int, default=None, help="threads (default: all)")
    arguments = parser.parse_args()

    began = time.perf_counter()
    china, flower = (load_sample_image(f"{name}.jpg") for name in ("china", "flower"))
    source, target = palette(china), palette(flower)
    pairs = len(source.colors) * len(target.colors)
    print(
        f"china: {len(source.colors)} colours, flower: {len(target.colors)}; {pairs:.2e} pairs a pass"
    )
    solution = transport(source, target, arguments.threads)
    print(solution)
    pictures = {
        "china": Image.fromarray(china),
        "flower": Image.fromarray(flower),
        "china_as_flower": recolored(source, solution.a_to_b),
        "flower_as_china": recolored(target, solution.b_to_a),
    }
    pictures["side_by_side"] = side_by_side(
        [
            [pictures["china"], pictures["china_as_flower"]],
            [pictures["flower"], pictures["flower_as_china"]],
        ],
        [["china", "china in the flower's colours"], ["flower", "flower in china's colours"]],
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in ("china_as_flower", "flower_as_china", "side_by_side"):
        path = arguments.out / f"{name}.png"
        pictures[name].save(path)
        print(f"wrote {path}")
    print(f"{solution.passes} passes; {time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
