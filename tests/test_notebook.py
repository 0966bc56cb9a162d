"""notebooks/quickstart.ipynb: it runs from the first cell to the last."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")

TOP = Path(__file__).parents[1]
NOTEBOOK = TOP / "notebooks" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_kept_without_outputs(notebook):
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


# The libraries that drive the kernel warn of their own future.
@pytest.mark.filterwarnings("ignore")
def test_it_trains_classifies_evaluates_and_explains(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TOP), prepend=os.pathsep)
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    ran = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    said = [text_of(cell) for cell in ran.cells if cell.cell_type == "code"]
    drawn, classified, in_memory, trained, evaluated, explained = said
    assert drawn == "20"
    assert [line.split()[1] for line in classified.splitlines()] == ["Parasitized"] * 4
    assert in_memory.count("label='Parasitized'") == 3
    assert trained.rstrip("')").endswith(".h5")
    assert "intervals: percentile bootstrap, 1,000 resamples of 5 patients" in evaluated
    assert explained.split()[0] in ("Parasitized", "Uninfected")
    assert "image/png" in str(ran.cells[-2].outputs)
    assert len(list((tmp_path / "drawn" / "models").glob("*.h5"))) == 1


def text_of(cell):
    """What a cell printed on stdout, and its last value, as text."""
    texts = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            texts.append(output.text)
        elif output.output_type == "execute_result":
            texts.append(output.data["text/plain"])
    return "".join(texts).strip()
