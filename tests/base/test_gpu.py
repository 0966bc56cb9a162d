"""Why TensorFlow sees no GPU: planted faults, each told with its cause and what mends it."""

import os
import shutil
import subprocess

import pytest

from malaria.base import gpu
from malaria.base.gpu import LIBRARIES, Card, find_failures, list_cards, nvidia_smi_works
from malaria.base.text import quote

CARD = "echo Some Card, 550.54.15, 80000, 81559"


@pytest.fixture(autouse=True)
def one_card(monkeypatch, nvidia_smi):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvidia_smi(CARD)


def explain(**known):
    """Why TensorFlow sees none of the cards that nvidia-smi lists."""
    return gpu.explain(list_cards(), **known)


@pytest.fixture
def packages(tmp_path):
    """A function that puts NVIDIA's libraries, empty ones of these names, where packages are."""
    folder = tmp_path / "site"
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc")

    def make(names, source=""):
        for name in names:
            path = folder / "nvidia" / "some" / "lib" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", path, f"-Wl,-soname,{name}"]
            subprocess.run(command, input=source, text=True, check=True)
        return [str(folder)]

    return make


def test_a_card_is_told_with_its_driver_and_memory(nvidia_smi):
    nvidia_smi(CARD + "\necho 'Other, 550.54.15, [N/A], [N/A]'")
    assert list_cards() == [Card("Some Card", "550.54.15", 80000, 81559)]
    assert not nvidia_smi_works()
    nvidia_smi("echo 'GPU 0: Some Card (UUID: GPU-1a2b)'")
    assert nvidia_smi_works()


@pytest.mark.parametrize(
    ("script", "cards"),
    [
        (r"printf 'Gr\377n\033, 550.1, 80, 900\n'", [Card("Gr\ufffdn\\x1b", "550.1", 80, 900)]),
        (f"echo Card, 550.1, {'9' * 5000}, 8", []),
        (f"echo '{', ' * 5000}'", []),
        ("exit 9", []),
        ("kill -SEGV $$", []),
    ],
)
def test_whatever_nvidia_smi_prints_there_are_cards_or_none(nvidia_smi, capsys, script, cards):
    nvidia_smi(script)
    assert list_cards() == cards
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("script", ["sleep 60", "exec >&-; sleep 60", "yes 'GPU 0'"])
def test_an_nvidia_smi_that_does_not_end_is_told_and_passed_over(
    monkeypatch, nvidia_smi, capsys, script
):
    monkeypatch.setattr(gpu, "DRIVER_SECONDS", 0.1)
    nvidia_smi(script)
    assert not nvidia_smi_works()
    assert capsys.readouterr().err == (
        "nvidia-smi gave no answer within 0 seconds: going on as without a GPU\n"
    )


def test_an_nvidia_smi_that_is_no_program_is_passed_over(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "nvidia-smi"
    path.mkdir()
    assert list_cards() == []
    path.rmdir()
    for content, mode in (("#!/bin/sh", 0o644), ("\x7fELF", 0o755), ("#!/no/such", 0o755)):
        path.write_text(content)
        path.chmod(mode)
        assert list_cards() == []


def test_without_a_driver_there_is_nothing_to_explain(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list_cards() == []
    assert explain(is_built_for_cuda=True) is None


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles", "1", "9" * 5000, "\x1b,0"])
def test_a_variable_that_hides_the_card_is_named(monkeypatch, value):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    reason = explain(is_built_for_cuda=True)
    assert reason == f"CUDA_VISIBLE_DEVICES is {quote(value)}, which hides every GPU: unset it"


@pytest.mark.parametrize("value", ["0", "0,abc", " 0", "GPU-1a2b"])
def test_a_variable_that_leaves_a_card_is_not_the_reason(monkeypatch, value):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert "CUDA_VISIBLE_DEVICES" not in explain(is_built_for_cuda=False)


def test_a_tensorflow_for_processors_and_an_old_driver_are_named(nvidia_smi):
    nvidia_smi("echo Some Card, 470.82.01, 80000, 81559")
    reason = "the installed TensorFlow is the one for processors: pip install -r requirements-gpu"
    assert explain(is_built_for_cuda=False).startswith(reason)
    reason = "its driver is 470.82.01, and CUDA 12 needs 525.60 or later"
    assert explain(is_built_for_cuda=True).startswith(reason)


def test_a_library_that_is_missing_is_named_alone(packages):
    folders = packages([name for name in LIBRARIES if name != "libcufft.so.11"])
    reason = "libcufft.so.11 is not installed: pip install -r requirements-gpu.txt"
    assert explain(is_built_for_cuda=True, folders=folders) == reason


def test_a_library_whose_symbol_is_missing_is_named_with_the_symbol(packages):
    folders = packages(LIBRARIES)
    # As a cuBLAS that is newer than the cuBLASLt beside it.
    packages(["libcublas.so.12"], "int lt_of_another_version(); int f() { return "
             "lt_of_another_version(); }")  # fmt: skip
    assert explain(is_built_for_cuda=True, folders=folders) == (
        "libcublas.so.12 misses the symbol lt_of_another_version: it and a library it needs are of "
        "different versions: pip install --force-reinstall nvidia-cublas-cu12"
    )


def test_a_library_that_needs_a_missing_one_names_that(packages, tmp_path):
    folders = packages(LIBRARIES)
    other = packages(["libother.so.1"])[0] + "/nvidia/some/lib/libother.so.1"
    path = f"{folders[0]}/nvidia/some/lib/libcudnn.so.9"
    subprocess.run(["gcc", "-shared", "-Wl,--no-as-needed", other, "-o", path], check=True)
    os.unlink(other)
    assert explain(is_built_for_cuda=True, folders=folders) == (
        "libcudnn.so.9 needs libother.so.1, which is not installed: "
        "pip install -r requirements-gpu.txt"
    )


def test_memory_that_another_process_holds_is_told(nvidia_smi, packages):
    nvidia_smi("echo Some Card, 550.54.15, 12, 81559")
    reason = explain(is_built_for_cuda=True, folders=packages(LIBRARIES))
    assert reason.startswith("of its memory 12 of 81559 MiB are free: end the process that holds")


def test_where_all_libraries_open_the_way_to_more_is_told(packages):
    folders = packages(LIBRARIES)
    assert find_failures(folders) == {}
    assert "TF_CPP_MIN_LOG_LEVEL=0" in explain(is_built_for_cuda=True, folders=folders)


def test_a_library_that_ends_the_process_does_not_end_this_one(packages):
    folders = packages(LIBRARIES)
    packages(["libcudnn.so.9"], "#include <stdlib.h>\n"
             "__attribute__((constructor)) void f() { abort(); }")  # fmt: skip
    [failure] = find_failures(folders).values()
    assert failure == "what opened it was ended by signal 6 (Aborted)"
