#!/usr/bin/env python3
"""Draws what plans cost in quality, and prints it as Markdown: python3 plans.py PLANS.csv OUT.svg.

The file is what evaluate --plans printed. Its seconds are left out, as they tell nothing where other work ran.
"""

import csv
import sys
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 840, 420, 50
HIGHEST = 60  # dB that are drawn; no eye tells more
COLOURS = ["#888888", "#c03020", "#2060c0", "#209040", "#a060c0", "#d08000", "#000000"]


def rows(file: str) -> list[dict]:
    with open(file) as lines:
        return list(csv.DictReader(lines))


def table(plans: list[dict]) -> str:
    """A row a plan; all are compared with the first."""
    text = ["| options | multiply-adds | times less | dB, median | least | pixels | latent | background |"]
    text.append("|---|---|---|---|---|---|---|---|")
    for plan in plans:
        share = float(plan["multiply_adds"])
        options = f"`{plan['options']}`" if plan["options"] else "20 full guided steps"
        if plan["found"]:
            options += f": {plan['found'].split('(')[0].strip()}"
        same = plan["psnr"] == "Infinity"
        cells = [options, f"{100 * share:.1f} %", f"{1 / share:.2f}"]
        cells += ["", ""] if same else [f"{float(plan[key]):.1f}" for key in ("psnr", "least_psnr")]
        cells += [f"{float(plan[key]):.0f}" for key in ("pixels", "latent", "background")]
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text)


def chart(plans: list[dict]) -> str:
    """The median over how many times less work a plan is; a line joins the best of each kind."""
    plans = [plan for plan in plans if plan["psnr"] != "Infinity"]
    points = {}
    for plan in plans:
        points.setdefault(plan["kind"], []).append((1 / float(plan["multiply_adds"]), min(HIGHEST, float(plan["psnr"]))))
    everything = [point for kind in points.values() for point in kind]
    right = max(x for x, _ in everything)
    low, high = min(y for _, y in everything), max(y for _, y in everything)

    def place(x: float, y: float) -> str:
        across = MARGIN + (x - 1) / (right - 1) * (WIDTH - 2 * MARGIN)
        return f"{across:.1f},{HEIGHT - MARGIN - (y - low) / (high - low) * (HEIGHT - 2 * MARGIN):.1f}"

    marks = []
    for colour, (kind, some) in zip(COLOURS, points.items()):
        best = [(x, y) for x, y in some if not any(a >= x and b > y or a > x and b >= y for a, b in some)]
        line = " ".join(place(x, y) for x, y in sorted(best))
        marks.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for x, y in some:
            across, up = place(x, y).split(",")
            marks.append(f'<circle cx="{across}" cy="{up}" r="3" fill="{colour}"/>')
        legend = 24 + 16 * list(points).index(kind)
        marks.append(f'<text x="{WIDTH - 150}" y="{legend + 14}" fill="{colour}">{kind}</text>')
    axes = []
    for step in range(10, int(10 * right) + 1, 5):
        across = place(step / 10, low).split(",")[0]
        axes.append(f'<text x="{across}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{step / 10:.1f}</text>')
    for level in range(int(low) + 1, int(high) + 1):
        if level % 5 == 0:
            up = place(1, level).split(",")[1]
            axes.append(f'<text x="{MARGIN - 6}" y="{up}" text-anchor="end">{level}</text>')
            axes.append(f'<path d="M{MARGIN},{up} H{WIDTH - MARGIN}" stroke="#ddd"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">times fewer multiply-adds</text>\n'
        f'<text x="{MARGIN}" y="24">dB to the full run, median of all pictures; {HIGHEST} and more are one</text>\n'
        + "\n".join(axes + marks)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    compared = rows(sys.argv[1])
    Path(sys.argv[2]).write_text(chart(compared))
    print(table(compared))
