"""What several test files share."""

import signal

import numpy as np
import pytest
from PIL import Image

from malaria.data.drawing import draw_cell, draw_stain

# A shell lets what it starts in the background ignore Ctrl-C, and the programs tested here would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Nothing of the tests is kept in the home of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def draw_field():
    """A function that draws a field: (PIL image, [(left, top, width, height, is parasitized)])."""

    def draw(rows=3, columns=4, side=400, seed=0, parasitized=(), background=(225, 232, 226)):
        rng = np.random.default_rng(seed)
        stain = draw_stain(rng)
        step, size = side // rows, int(side / rows * 0.7)
        field = Image.new("RGB", (step * columns, step * rows), background)
        boxes = []
        for number in range(rows * columns):
            picture, _ = draw_cell(rng, parasitized=number in parasitized, stain=stain)
            cell = Image.fromarray(picture).resize((size, size))
            shape = Image.fromarray((np.asarray(picture).max(axis=2) > 0).astype(np.uint8) * 255)
            left, top = (step * place + step // 8 for place in reversed(divmod(number, columns)))
            field.paste(cell, (left, top), shape.resize((size, size)))
            boxes.append((left, top, size, size, number in parasitized))
        return field, boxes

    return draw


@pytest.fixture
def write_cells(tmp_path):
    """A function that writes noise as `count` pictures of each patient into folder/<label>."""
    random = np.random.default_rng(1)

    def write(folder="cells", labels=("Parasitized", "Uninfected"), patients=(1, 2), count=2):
        for label in labels:
            (tmp_path / folder / label).mkdir(parents=True)
            for patient in patients:
                for number in range(count):
                    name = f"C{patient}P1thinF_IMG_cell_{number}.png"
                    grey_levels = random.integers(256, size=(9, 7, 3), dtype=np.uint8)
                    Image.fromarray(grey_levels).save(tmp_path / folder / label / name)
        return tmp_path / folder

    return write
