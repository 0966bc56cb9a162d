"""The Python interface: three lines in a notebook, and the same answers as the command."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import malaria
from malaria import load_classifier
from malaria.base.errors import UsageError, UserError
from malaria.cli.run import main
from malaria.data.drawn_cells import write_cells

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    return folder, sorted(write_cells(folder, 6, seed=9, patients=3))


@pytest.fixture(scope="module")
def model():
    return load_classifier()


def answers(predictions):
    return [(one.label, one.probability, one.probabilities, one.error) for one in predictions]


def test_paths_images_arrays_and_mixtures_get_the_same_answers(cells, model):
    folder, paths = cells
    expected = answers(model.classify(paths))
    assert all(label in model.metadata.labels for label, *_ in expected)
    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    opaque = [np.dstack([one, np.full(one.shape[:2], 255, np.uint8)]) for one in arrays]
    images = [Image.open(path) for path in paths]
    for same in (map(str, paths), images, arrays, opaque, folder):
        assert answers(model.classify(same)) == expected
    mixture = [paths[0], str(paths[1]), images[2], arrays[3]]
    assert answers(model.classify(mixture)) == expected[:4]


def test_a_batch_of_any_size_and_a_single_image_are_lists_too(cells, model, tmp_path):
    _, paths = cells
    batch = np.stack([np.asarray(Image.open(path).resize((50, 40))) for path in paths])
    grey = Image.open(paths[0]).convert("L")
    grey.save(tmp_path / "grey.png")
    for one, same in (
        (batch, list(batch)),
        (paths[0], [paths[0]]),
        (batch[0], batch[:1]),
        (np.asarray(grey), tmp_path / "grey.png"),
    ):
        assert answers(model.classify(one)) == answers(model.classify(same))


def test_only_what_came_from_a_file_has_a_path_and_what_cannot_be_read_the_reason(
    cells, model, tmp_path
):
    path = cells[1][0]
    (tmp_path / "broken.png").write_bytes(b"nothing")
    gone, first, second, broken = model.classify(
        [tmp_path / "gone.png", path, Image.open(path), tmp_path / "broken.png"]
    )
    assert (first.path, second.path) == (path, None)
    assert replace(first, path=None) == second
    assert (gone.error, broken.error) == ("no such file", "not an image of a known kind")
    assert gone.label is gone.probability is gone.probabilities is None


FLOATS = np.zeros((8, 8, 3), np.float32)
BYTES = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (FLOATS, "expected grey levels 0..255 as uint8; received float32"),
        ([BYTES, FLOATS.astype(np.float64)], "received float64"),
        (FLOATS[None], "received float32"),
        *(
            (np.zeros(shape, np.uint8), f"received {shape}")
            for shape in [(2, 8, 8, 4), (1, 1, 8, 8, 3), (3,), (0, 8, 8, 3), (2, 8, 8, 1)]
        ),
        *(([], "received an empty list"), ((), "received an empty tuple")),
        *((source, "received an empty name") for source in ("", ["a.png", ""])),
        *((None, "received NoneType"), (3, "received int")),
        ([3], "received a list with int in it"),
        (["a.png", None], "received a list with NoneType in it"),
    ],
    ids=str,
)
def test_anything_else_is_refused_in_one_sentence(model, source, message):
    with pytest.raises(UsageError) as caught:
        model.classify(source)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_images_is_refused(model, tmp_path):
    with pytest.raises(UserError, match="no images in "):
        model.classify(tmp_path)


def test_the_answers_are_exactly_those_of_the_command(cells, model, tmp_path):
    folder, _ = cells
    output = tmp_path / "a.json"
    assert main([f"--image={folder}", f"--output={output}"]) == 0
    rows = json.loads(output.read_text(encoding="utf-8"))
    for one, row in zip(model.classify(folder), rows, strict=True):
        assert (str(one.path), one.label) == (row["path"], row["label"])
        assert one.probability == row["probability"]
        assert [*one.probabilities] == [*row["probabilities"].values()]


def test_eight_threads_at_once_get_the_answers_of_one(cells, model):
    _, paths = cells
    expected = answers(model.classify(paths))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: answers(model.classify(paths)), range(24)))
    assert found == [expected] * 24


def test_neither_classifying_nor_evaluating_imports_tensorflow(cells):
    folder, paths = cells
    code = f"""
import sys
import numpy as np
from PIL import Image
from malaria import load_classifier
model = load_classifier()
image = Image.open({str(paths[1])!r})
model.classify([{str(paths[0])!r}, image, np.asarray(image.convert("RGB"))])
model.evaluate({str(folder)!r})
sys.exit(sorted({{"tensorflow", "keras"}} & set(sys.modules)) or None)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=TOP)


def test_evaluate_gives_the_result_on_a_labelled_folder(cells, model):
    folder, paths = cells
    result = model.evaluate(folder)
    assert result.counts == {"Parasitized": 6, "Uninfected": 6}
    right = [one.label == one.path.parent.name for one in model.classify(paths)]
    assert result.metrics["accuracy"].value == sum(right) / 12
    assert result.intervals["resampled"] == "patients"
    assert result.intervals["count"] == 3
    by_cell = model.evaluate(folder, patient_pattern=r"cell_(\d+)")
    assert by_cell.intervals["count"] == 6
    with pytest.raises(UserError, match="expected sub-folders of"):
        model.evaluate(folder / "Parasitized")


def test_what_is_public_is_listed_and_nothing_else_is_there():
    names = "Classifier Config Prediction Result __version__ load_classifier train"
    assert set(malaria.__all__) == set(names.split())
    assert dir(malaria) == sorted(malaria.__all__)
    for name in malaria.__all__:
        assert getattr(malaria, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'classify'"):
        _ = malaria.classify
