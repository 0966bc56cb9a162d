"""python -m malaria doctor: what there is, and what each missing part costs."""

import pytest

from malaria.base import gpu
from malaria.cli import doctor


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(doctor, "find_cards", list)


def found(lines):
    return {what: (value, note) for what, value, note in lines}


def test_the_machine_and_the_packages_are_told(without_gpu, capsys):
    assert doctor.main([]) == 0
    printed = capsys.readouterr().out
    for what in ("Python", "keras", "LiteRT", "cores", "memory", "AMX", "TensorFlow is for"):
        assert what in printed
    assert "none" in next(line for line in printed.splitlines() if line.startswith("GPU"))


def test_a_card_that_tensorflow_does_not_see_is_an_error_with_its_cause(monkeypatch, nvidia_smi):
    nvidia_smi("echo Some Card, 550.54.15, 80000, 81559")
    monkeypatch.setattr(doctor, "ASK", "print('False - - 0')")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    lines = found(doctor._tensorflow())
    assert lines["GPU"][0] == "Some Card, driver 550.54.15, 80,000 of 81,559 MiB free"
    value, note = lines["GPUs that TensorFlow sees"]
    assert value == "none"
    assert note.startswith("error: CUDA_VISIBLE_DEVICES is ''")


def test_a_tensorflow_that_does_not_start_is_an_error(monkeypatch, without_gpu, capsys):
    monkeypatch.setattr(doctor, "ASK", "raise ImportError('broken')")
    assert doctor.main([]) == 1
    assert "no training, for it ended with exit status 1: ImportError: broken;" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("ask", "value", "reason"),
    [
        ("import time; time.sleep(60)", "does not start", "it gave no answer within 0 seconds;"),
        ("import os; os.abort()", "does not start", "it was ended by signal 6 (Aborted);"),
        ("print('x' * 3_000_000)", "is not known", "it does not say what it is for"),
    ],
)
def test_a_tensorflow_that_hangs_crashes_or_chatters_is_one_line(
    monkeypatch, without_gpu, ask, value, reason
):
    monkeypatch.setattr(doctor, "ASK", ask)
    if "sleep" in ask:
        monkeypatch.setattr(doctor, "TENSORFLOW_SECONDS", 0.1)
    lines = found(doctor._tensorflow())
    assert list(lines) == ["TensorFlow"]
    assert lines["TensorFlow"][0] == value
    assert lines["TensorFlow"][1].startswith("error: ")
    assert reason in lines["TensorFlow"][1]


def test_a_tensorflow_that_chatters_before_it_answers_is_understood(monkeypatch, without_gpu):
    monkeypatch.setattr(doctor, "ASK", "print('x' * 3_000_000); print('True ? ? 1'); print('end')")
    lines = found(doctor._tensorflow())
    assert lines["TensorFlow is for"][0] == "CUDA ?, cuDNN ?"
    # It sees a GPU where there is no nvidia-smi, as in some containers.
    assert lines["GPUs that TensorFlow sees"] == ("1", "")


@pytest.mark.parametrize(
    ("script", "note"),
    [
        ("sleep 60", "error: nvidia-smi gave no answer within 0 seconds"),
        ("echo no driver; exit 9", "nvidia-smi ended with exit status 9: no driver"),
    ],
)
def test_an_nvidia_smi_that_fails_is_told(monkeypatch, nvidia_smi, script, note):
    monkeypatch.setattr(gpu, "DRIVER_SECONDS", 0.1)
    nvidia_smi(script)
    lines = list(doctor._gpus(0, is_built_for_cuda=False))
    assert lines == [("GPU", "not known", note)]


@pytest.mark.parametrize(
    ("metadata", "version"),
    [(b"Name: numpy", "damaged: "), (b"Version: \xff", "damaged: "), (None, None)],
)
def test_a_damaged_package_is_told(monkeypatch, tmp_path, metadata, version):
    folder = tmp_path / "someones-1.dist-info"
    folder.mkdir()
    if metadata is not None:
        (folder / "METADATA").write_bytes(metadata)
    monkeypatch.syspath_prepend(str(tmp_path))
    told = doctor._version_of("someones" if metadata is not None else "nobodys")
    assert told is None if version is None else told.startswith(version)


@pytest.mark.parametrize("value", ["no such", "\x1b[31m:%s", "'", ":", " "])
def test_a_browser_that_is_no_program_is_no_browser(monkeypatch, value):
    monkeypatch.setattr(doctor, "BROWSERS", ())
    monkeypatch.setenv("BROWSER", value)
    name, note = doctor._browser()
    assert name == "none"
    assert note.startswith("BROWSER is '")
    monkeypatch.setenv("BROWSER", f"{value}:sh -c %s")
    assert doctor._browser()[0].endswith("/sh")


def test_what_a_missing_part_costs_is_told(monkeypatch, without_gpu):
    monkeypatch.setattr(doctor, "ASK", "")
    monkeypatch.setattr(doctor, "_version_of", lambda package: None)
    monkeypatch.setattr(doctor, "BROWSERS", ())
    monkeypatch.delenv("BROWSER", raising=False)
    lines = found(doctor.examine())
    assert "600 MB" in lines["LiteRT"][1]
    assert "a machine that has one" in lines["browser"][1]
