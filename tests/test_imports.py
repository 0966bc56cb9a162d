"""The house: which room may import which, who may know TensorFlow, and what a quick start loads."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
PACKAGE = TOP / "malaria"
# A file imports from its own room and from those before it. docs/architecture.md has the picture.
ROOMS = [
    *("base", "pictures", "data", "annotations", "saved", "evaluation", "networks", "model"),
    *("settings", "augmentation", "inference", "fields", "outputs", "training", "cluster"),
    *("labelling", "cli"),
]
# On the top level, beside the one network that is there: doors, which anything may stand behind.
DOORS = {"__init__", "__main__", "synthetic"}
TENSORFLOW = {"tensorflow", "keras", "malaria.networks.backend"}
# Of the room inference, the one file that may import TensorFlow.
NEEDS_GRADIENTS = "inference/gradcam.py"
# A second or more each, so they are loaded only when they are needed.
HEAVY = {"tensorflow", "keras", "sklearn", "matplotlib", "scipy", "h5py", "jinja2", "skimage"}
# Need not be installed: one file knows them, and imports them where a URL is read.
REMOTE = {"fsspec", "aiohttp", "s3fs", "gcsfs", "asyncio"}
# The files that know the settings of a training as one record; all others take plain values.
KNOW_CONFIG = {
    *("config", "config_check", "config_file", "config_reference"),
    *("trainer", "assembly", "finish", "beginning", "cross_validation", "dry_run", "folds"),
    *("detection_task", "choose_task"),
}
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
INSIDE = [name for name in FILES if Path(name).stem not in DOORS]


def files_of(room):
    return [name for name in INSIDE if room_of(name.removesuffix(".py")) == room]


@cache
def tree_of(name):
    return ast.parse((PACKAGE / name).read_text(encoding="utf-8"))


def modules_imported(nodes):
    """The full names of the modules that these nodes import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            # from malaria.networks import keras2: the name may be a module.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imports_of(name):
    """Every module that a file imports anywhere, but for those that only a type checker reads."""
    tree = tree_of(name)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return set(modules_imported(node for node in ast.walk(tree) if id(node) not in for_types))


def room_of(name):
    """The room of a file, from its path or from the name of its module."""
    return name.removeprefix("malaria.").replace("/", ".").partition(".")[0]


def test_every_folder_is_a_room_and_every_room_is_there():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders | {"model"} == set(ROOMS)
    on_top = {Path(name).stem for name in FILES if "/" not in name}
    assert on_top == DOORS | {"model"}


def test_the_init_of_a_room_is_empty_so_that_importing_one_file_loads_one_file():
    for name in FILES:
        assert not name.endswith("/__init__.py") or (PACKAGE / name).read_text() == "", name


@pytest.mark.parametrize("room", ROOMS)
def test_a_file_imports_only_from_its_room_and_those_before_it(room):
    for name in files_of(room):
        allowed = ROOMS[: ROOMS.index(room_of(name)) + 1]
        # The network of model.py is built from layers that stand before it.
        ours = {module for module in imports_of(name) if module.startswith("malaria.")}
        assert [module for module in ours if room_of(module) not in [*allowed, "__version__"]] == []


def test_no_file_imports_itself_by_way_of_others():
    modules = {f"malaria.{name[:-3].replace('/', '.')}": name for name in INSIDE}
    graph = {
        module: {found for found in imports_of(name) if found in modules}
        for module, name in modules.items()
    }
    TopologicalSorter(graph).prepare()


def early_imports_of(name):
    return set(modules_imported(tree_of(name).body))


@pytest.mark.parametrize("room", ROOMS)
def test_tensorflow_is_imported_only_where_networks_are_built_trained_or_explained(room):
    for name in files_of(room):
        knows = bool({module.removesuffix(".keras") for module in imports_of(name)} & TENSORFLOW)
        may = room_of(name) in ("networks", "augmentation", "training") or name in (
            NEEDS_GRADIENTS,
            "model.py",
        )
        assert may or not knows


def test_the_table_of_networks_is_free_of_tensorflow():
    assert loaded_by("import malaria.model").isdisjoint(HEAVY)


@pytest.mark.parametrize("room", ROOMS)
def test_one_file_knows_the_libraries_for_other_machines(room):
    for name in files_of(room):
        known = {module.partition(".")[0] for module in imports_of(name)} & REMOTE
        assert name == "pictures/remote.py" or not known
        assert not early_imports_of(name) & (REMOTE - {"asyncio"})


@pytest.mark.parametrize("room", ROOMS)
def test_below_the_trainer_nothing_takes_the_config(room):
    for name in files_of(room):
        annotations = [
            ast.unparse(argument.annotation)
            for node in ast.walk(tree_of(name))
            if isinstance(node, ast.FunctionDef)
            for argument in [*node.args.args, *node.args.kwonlyargs]
            if argument.annotation is not None
        ]
        takes = any("Config" in annotation for annotation in annotations)
        assert not takes or room_of(name) == "cli" or Path(name).stem in KNOW_CONFIG


def is_action(node):
    return "argparse.Action" in map(ast.unparse, node.bases)


@pytest.mark.parametrize("room", ROOMS)
def test_no_function_takes_the_namespace_of_argparse(room):
    for name in files_of(room):
        nodes = [*ast.walk(tree_of(name))]
        # An argparse.Action is called with it.
        actions = [node for node in nodes if isinstance(node, ast.ClassDef) and is_action(node)]
        called = [function for action in actions for function in action.body]
        for node in nodes:
            if isinstance(node, ast.FunctionDef) and node not in called:
                for argument in [*node.args.args, *node.args.kwonlyargs]:
                    assert "Namespace" not in ast.unparse(argument)


@pytest.mark.parametrize("script", ["run.py", "train.py"])
def test_a_script_starts_without_the_libraries_that_take_seconds(script):
    assert loaded_by_script("--help", script=script).isdisjoint(HEAVY)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    from PIL import Image

    path = tmp_path_factory.mktemp("picture") / "cell.png"
    Image.new("RGB", (50, 50), (200, 150, 150)).save(path)
    return path


@pytest.mark.parametrize("engine", ["auto", "litert"])
def test_one_picture_is_classified_without_the_libraries_that_take_seconds(
    picture, tmp_path, engine
):
    options = [f"--image={picture}", f"--engine={engine}", f"--output={tmp_path}/a.csv"]
    loaded = loaded_by_script(*options, "--review=0.4,0.6", script="run.py")
    assert loaded.isdisjoint(HEAVY | REMOTE | {"pydantic"})
    assert {"malaria", "numpy", "PIL", "ai_edge_litert"} <= loaded
    assert (tmp_path / "a.csv").is_file()


def test_classifying_in_python_is_as_light_as_the_command(picture):
    code = f"from malaria import load_classifier; load_classifier().classify({str(picture)!r})"
    assert loaded_by(code).isdisjoint(HEAVY | {"pydantic"})
    assert loaded_by("import malaria") & {"numpy", "PIL"} == set()


def loaded_by_script(*arguments, script):
    """The top-level modules that running a script of ours loads."""
    return loaded_by(
        "import runpy, sys\n"
        f"sys.argv = [{script!r}, *{arguments!r}]\n"
        "try:\n"
        f"    runpy.run_path({str(TOP / script)!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
    )


def loaded_by(code):
    """The top-level modules that this code loads."""
    told = "\nimport sys; print('\\nloaded', *{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", code + told]
    environment = {"PYTHONPATH": str(TOP)}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return set(result.stdout.splitlines()[-1].split()[1:])
