"""What several test files share."""

import os
import signal
from dataclasses import astuple

import numpy as np
import pytest
from PIL import Image

from malaria.data import drawn_cells
from malaria.data.drawing import draw_stain

# These files take longest, and begin first: else one of them is left to one process at the end.
SLOW = ("test_workers", "test_folds", "test_resume", "test_sources", "test_consistency")
SLOW += ("test_cluster_run", "test_devices", "test_foreign", "test_download", "test_trainer")
SLOW += ("test_fit_guard", "test_cluster_predict", "test_scripts", "test_cross_validation")
SLOW += ("test_package", "test_keras_versions", "test_model", "test_optimizer", "test_contributing")


def pytest_collection_modifyitems(items):
    ranks = {name: rank for rank, name in enumerate(SLOW)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(SLOW)))


# A shell lets what it starts in the background ignore Ctrl-C, and the programs tested here would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Nothing of the tests is kept in the home of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """One Chromium for all tests of pages; they are skipped where there is none."""
    from chromium import CHROMIUM, DRIVER, open_browser

    if not (CHROMIUM and DRIVER):
        pytest.skip("there is no chromium or no chromedriver")
    browser = open_browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def determinism():
    """Ends, with the module, the determinism that a training sets for its whole process."""
    yield
    from tensorflow.python.framework.config import disable_op_determinism

    disable_op_determinism()


@pytest.fixture
def draw_field():
    """A function that draws a field: (PIL image, [(left, top, width, height, is parasitized)])."""

    def draw(rows=3, columns=4, side=400, seed=0, parasitized=()):
        rng = np.random.default_rng(seed)
        known = {"rows": rows, "columns": columns, "square": side // rows}
        field, boxes = drawn_cells.draw_field(
            rng, draw_stain(rng), parasitized=parasitized, **known
        )
        return field, [(*astuple(box), n in parasitized) for n, box in enumerate(boxes)]

    return draw


@pytest.fixture
def write_cells(tmp_path):
    """A function that writes noise as `count` images of each patient into folder/<label>."""
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


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put an nvidia-smi that runs the given shell script first on the PATH."""

    def make(script):
        path = tmp_path / "bin" / "nvidia-smi"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")

    return make


@pytest.fixture
def folder(write_cells):
    """Eight cells of two patients, an image without a label and a broken one."""
    folder = write_cells()
    Image.new("RGB", (7, 9), (255, 0, 0)).save(folder / "no label.png")
    (folder / "Uninfected" / "broken.png").write_bytes(b"nothing")
    return folder
