"""What the examples draw: clouds of points and curves of values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

BLUE, ORANGE = (44, 111, 187), (240, 150, 40)
Colour = tuple[int, int, int]


def clouds(
    layers: Sequence[tuple[Iterable[Sequence[float]], Colour, int]],
    box: tuple[float, float, float, float],
    height: int = 480,
) -> Image.Image:
    """Points (u, v) of each layer as discs of a colour and a radius in pixels, in the box (left, bottom, right, top)."""
    left, bottom, right, top = box
    scale = height / (top - bottom)
    image = Image.new("RGB", (round(scale * (right - left)), height), "white")
    draw = ImageDraw.Draw(image)
    for points, colour, r in layers:
        for u, v in points:
            i, j = (u - left) * scale, (top - v) * scale
            draw.ellipse((i - r, j - r, i + r, j + r), fill=colour)
    return image


def curves(
    values: Sequence[tuple[Sequence[float], Colour]], width: int = 480, height: int = 480
) -> Image.Image:
    """Positive values against their number, on a logarithmic axis with a line at each power of ten."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    longest = max(len(series) for series, _ in values)
    low = math.floor(min(math.log10(min(series)) for series, _ in values))
    high = math.ceil(max(math.log10(max(series)) for series, _ in values))

    def place(k: int, value: float) -> tuple[float, float]:
        return (
            20 + (width - 40) * k / max(longest - 1, 1),
            height - 20 - (height - 40) * (math.log10(value) - low) / max(high - low, 1),
        )

    for power in range(low, high + 1):
        _, j = place(0, 10.0**power)
        draw.line((20, j, width - 20, j), fill=(220, 220, 220))
        draw.text((22, j - 12), f"1e{power}", fill=(120, 120, 120))
    for series, colour in values:
        at = [place(k, value) for k, value in enumerate(series)]
        draw.line(at, fill=colour, width=2)
        for i, j in at:
            draw.ellipse((i - 3, j - 3, i + 3, j + 3), fill=colour)
    return image


def row(images: Sequence[Image.Image], gap: int = 8) -> Image.Image:
    """Side by side."""
    sheet = Image.new(
        "RGB",
        (sum(i.width + gap for i in images) - gap, max(i.height for i in images)),
        "lightgrey",
    )
    at = 0
    for image in images:
        sheet.paste(image, (at, 0))
        at += image.width + gap
    return sheet
