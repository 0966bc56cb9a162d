#!/usr/bin/env python3
"""Draw docs/cells.svg, the image in the README: cells that malaria/drawing.py invents.

python docs/draw_cells.py
"""

import base64
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.data.drawing import draw_cell, draw_stain

PATIENTS, SIDE, GAP = 9, 84, 6


def main():
    rows = [
        f'<text x="0" y="{14 + row * (SIDE + 28)}">{name}</text>\n'
        + "\n".join(draw(row, patient) for patient in range(PATIENTS))
        for row, name in enumerate(("Parasitized", "Uninfected"))
    ]
    width, height = PATIENTS * (SIDE + GAP) - GAP, 2 * (SIDE + 28)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
    style = 'font-family="sans-serif" font-size="14" fill="#777"'
    text = f"{head} {style}>\n" + "\n".join(rows) + "\n</svg>\n"
    Path(__file__).with_name("cells.svg").write_text(text)


def draw(row, patient):
    """An <image> of one cell; the row tells whether it is parasitized, the column the patient."""
    stain = draw_stain(np.random.default_rng([7, patient]))
    pixels, _ = draw_cell(
        np.random.default_rng([7, row, patient]), parasitized=row == 0, stain=stain
    )
    file = io.BytesIO()
    Image.fromarray(pixels).resize((SIDE, SIDE)).save(file, "JPEG", quality=80)
    data = base64.b64encode(file.getvalue()).decode()
    x, y = patient * (SIDE + GAP), 22 + row * (SIDE + 28)
    place = f'x="{x}" y="{y}" width="{SIDE}" height="{SIDE}"'
    return f'<image {place} href="data:image/jpeg;base64,{data}"/>'


if __name__ == "__main__":
    main()
