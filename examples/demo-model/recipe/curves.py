#!/usr/bin/env python3
"""Draws the losses of a run: python3 curves.py FOLDER OUT.svg."""

import csv
import math
import sys
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 420, 240, 46


def panel(title: str, rows: list[dict], value, left: int) -> str:
    """A curve over training steps; the vertical axis is logarithmic."""
    points = [(int(row["step"]), value(row)) for row in rows]
    last = points[-1][0]
    low, high = min(y for _, y in points), max(y for _, y in points)

    def place(step: float, y: float) -> tuple[float, float]:
        across = left + MARGIN + step / last * (WIDTH - 2 * MARGIN)
        up = math.log(y / low) / math.log(high / low)
        return across, HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)

    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    (x0, y0), (x1, y1) = place(0, low), place(last, high)
    return f"""<text x="{left + WIDTH / 2}" y="24" text-anchor="middle" font-weight="bold">{title}</text>
<path d="M{x0:.1f},{y1:.1f} V{y0:.1f} H{x1:.1f}" fill="none" stroke="#888"/>
<polyline points="{path}" fill="none" stroke="#2060c0" stroke-width="1.5"/>
<text x="{x0 - 6:.1f}" y="{y0:.1f}" text-anchor="end">{low:.3g}</text>
<text x="{x0 - 6:.1f}" y="{y1 + 8:.1f}" text-anchor="end">{high:.3g}</text>
<text x="{x0:.1f}" y="{y0 + 18:.1f}" text-anchor="middle">0</text>
<text x="{x1:.1f}" y="{y0 + 18:.1f}" text-anchor="middle">{last} steps</text>
"""


def rows(file: Path) -> list[dict]:
    with open(file) as lines:
        return list(csv.DictReader(lines))


def draw(folder: Path, out: Path) -> None:
    first, second = rows(folder / "autoencoder.csv"), rows(folder / "diffusion.csv")
    panels = [
        panel("Autoencoder: mean difference of pixels", first, lambda row: float(row["l1"]) / 2, 0),
        panel("Diffusion: loss", second, lambda row: float(row["loss"]), WIDTH),
    ]
    out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "".join(panels) + "</svg>\n"
    )


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
