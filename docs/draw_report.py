#!/usr/bin/env python3
"""Draw docs/report.png, the image in README.md: an HTML report on drawn cells, in Chromium.

python docs/draw_report.py
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.cli.run import main as classify
from malaria.data.drawn_cells import write_cells

SIZE = (1180, 1790)
COLOURS = 128


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        draw_patients()
        classify(["--image=cells", "--report=report.html", "--count_only"])
        take_picture(Path("report.html").absolute(), Path("report.png"))
        with Image.open("report.png") as picture:
            small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(Path(__file__).resolve().with_name("report.png"), optimize=True)


def draw_patients():
    """Drawn cells of six patients, who have from few to many parasites."""
    for path in write_cells("cells", 90, seed=5, patients=6):
        patient, number = map(int, re.fullmatch(r"C(\d+)P.*_(\d+)", path.stem).groups())
        # Fifteen cells of each label and patient were drawn, in turns.
        if path.parent.name == "Parasitized" and (number - 1) // 6 >= 2 * patient:
            path.unlink()


def take_picture(page, path):
    """What Chromium shows of the page in a window of SIZE."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("error: expected chromium, found none; apt install chromium")
    # As root its sandbox cannot be set up.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    subprocess.run(
        [
            *(program, "--headless", "--hide-scrollbars", *sandbox),
            *(f"--screenshot={path}", f"--window-size={SIZE[0]},{SIZE[1]}", page.as_uri()),
        ],
        check=True,
        capture_output=True,
    )


if __name__ == "__main__":
    main()
