#!/usr/bin/env python3
"""Writes what the evaluation knows of the glyphs: python3 atlas.py GLYPHS.npz FOLDER."""

import sys
from pathlib import Path

import numpy as np
from glyphs import COLOURS
from PIL import Image

CELL, COLUMNS = 64, 20


def write(source: Path, folder: Path) -> None:
    data = np.load(source)
    names = [str(name) for name in data["names"]]
    sheet = Image.new("RGBA", (COLUMNS * CELL, -(-len(names) // COLUMNS) * CELL))
    for index, glyph in enumerate(data["glyphs"]):
        cell = Image.fromarray(glyph).resize((CELL, CELL), Image.Resampling.LANCZOS)
        sheet.paste(cell, (index % COLUMNS * CELL, index // COLUMNS * CELL))
    sheet.save(folder / "glyphs.png", optimize=True)
    (folder / "glyphs.txt").write_text("\n".join(names) + "\n")
    lines = [f"{name} #{red:02x}{green:02x}{blue:02x}" for name, (red, green, blue) in COLOURS.items()]
    (folder / "colours.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
