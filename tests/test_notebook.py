"""notebooks/quickstart.ipynb: it runs from the first cell to the last."""

import ast
import json
from pathlib import Path

import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def cells():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_it_is_kept_without_outputs(cells):
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)


def run(source, names):
    """Run a cell; return the value of its last line if that is an expression, as Jupyter does."""
    *lines, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        exec(source, names)
        return None
    exec(compile(ast.Module(lines, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_it_trains_classifies_evaluates_and_explains(cells, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names, values, said = {}, [], []
    for cell in cells:
        # One epoch instead of six: how good the network becomes is not asked here.
        values.append(run("".join(cell["source"]).replace("epochs=6", "epochs=1"), names))
        said.append(capsys.readouterr().out)
    drawn, _, in_memory, trained, _, explained = values
    assert drawn == 20
    assert [line.split()[1] for line in said[1].splitlines()] == ["Parasitized"] * 4
    assert [one.label for one in in_memory] == ["Parasitized"] * 3
    assert trained.suffix == ".h5"
    assert "intervals: percentile bootstrap, 1,000 resamples of 5 patients" in said[4]
    assert said[5].split()[0] in ("Parasitized", "Uninfected")
    assert isinstance(explained, Image.Image)
    assert [path.name for path in Path("drawn/models").glob("*.h5")] == [trained.name]
