"""Which file may load what: the order of the files, and what stays out of a quick start."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PACKAGE = Path(__file__).parents[1] / "malaria"
# A file may import only files above it. README.md shows the same order.
ORDER = [
    *("errors", "command", "files", "streams", "machine", "shares", "tables", "views", "drawing"),
    "synthetic",
    *(
        "archive",
        "images",
        "decisions",
        "thresholds",
        "metadata",
        "dataset",
        "splits",
        "config",
        "settings",
    ),
    *(
        "pixels",
        "prepare",
        "lite",
        "backend",
        "augmentation",
        "pipeline",
        "model",
        "optimizer",
        "keras2",
        "weights",
        "storage",
    ),
    *(
        "devices",
        "metrics",
        "bootstrap",
        "evaluation",
        "findings",
        "plots",
        "outcome",
        "resume",
        "epochs",
    ),
    *("finish", "training", "check", "inference", "classify", "gradcam", "report", "page"),
    *("suspects", "out_of_fold", "folds"),
    *("journal", "results", "comparison", "options"),
]
# These bring libraries with them that take seconds, so they are loaded only when they are needed.
LATE = {
    ("inference", "storage"),
    *(("comparison", late) for late in ("evaluation", "findings")),
    *(("results", late) for late in ("evaluation", "findings", "gradcam", "page", "plots")),
}
HEAVY = {"tensorflow", "keras", "sklearn", "matplotlib", "scipy", "h5py", "jinja2"}


def imports_of(path, *, late):
    """The names of our files that `path` imports; late: those inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    early = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (id(node) not in early) == late:
            if node.module == "malaria":
                yield from (alias.name for alias in node.names)
            elif (node.module or "").startswith("malaria."):
                yield node.module.removeprefix("malaria.")


def test_every_file_has_its_place_in_the_order():
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert sorted(ORDER) == sorted(files)


@pytest.mark.parametrize("name", ORDER)
def test_a_file_imports_only_files_above_it(name):
    allowed = ORDER[: ORDER.index(name)]
    for late in (False, True):
        for imported in imports_of(PACKAGE / f"{name}.py", late=late):
            assert imported in allowed


@pytest.mark.parametrize("name", ORDER)
def test_our_own_files_are_imported_late_only_where_it_is_agreed(name):
    late = {(name, imported) for imported in imports_of(PACKAGE / f"{name}.py", late=True)}
    assert late <= LATE


@pytest.mark.parametrize("script", ["run.py", "train.py"])
def test_a_script_starts_without_the_libraries_that_take_seconds(script):
    loaded = loaded_by("--help", script=script)
    assert loaded.isdisjoint(HEAVY)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The path of a saved pair, and of a picture."""
    from malaria.model import build_model
    from malaria.networks.save import save_pair

    folder = tmp_path_factory.mktemp("pair")
    entries = {
        "labels": ["Parasitized", "Uninfected"],
        "positive_label": "Parasitized",
        "image_size": [42, 42],
        "pixels": {"colour": "RGB", "resampling": "bilinear", "scale": 1 / 255},
        "threshold": 0.5,
    }
    model = build_model("vgg", image_size=(42, 42), label_count=2)
    Image.new("RGB", (50, 50), (200, 150, 150)).save(folder / "cell.png")
    return save_pair(model, folder, "a", entries).weights, folder / "cell.png"


@pytest.mark.parametrize("engine", ["auto", "litert"])
def test_one_picture_is_classified_without_the_libraries_that_take_seconds(pair, tmp_path, engine):
    model, image = pair
    options = [f"--model={model}", f"--image={image}", f"--engine={engine}"]
    output = f"--output={tmp_path}/a.csv"
    loaded = loaded_by(*options, output, "--review=0.4,0.6", script="run.py")
    assert loaded.isdisjoint(HEAVY | {"pydantic"})
    assert {"malaria", "numpy", "PIL", "ai_edge_litert"} <= loaded
    assert (tmp_path / "a.csv").is_file()


def loaded_by(*arguments, script):
    """The top-level modules that running a script of ours loads."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = [{script!r}, *{arguments!r}]\n"
        "try:\n"
        f"    runpy.run_path({str(PACKAGE.parent / script)!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    print('\\nloaded', *{name.partition('.')[0] for name in sys.modules})\n"
    )
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(PACKAGE.parent)}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return set(result.stdout.splitlines()[-1].split()[1:])
