"""python -m malaria doctor: what there is, and what each missing part costs."""

import pytest

from malaria.cli import doctor


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(doctor, "list_cards", list)


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
    monkeypatch.setattr(doctor, "ASK", "print('False - -'); print(0)")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    lines = found(doctor._tensorflow())
    assert lines["GPU"][0] == "Some Card, driver 550.54.15, 80,000 of 81,559 MiB free"
    value, note = lines["GPUs that TensorFlow sees"]
    assert value == "none"
    assert note.startswith("error: CUDA_VISIBLE_DEVICES is ''")


def test_a_tensorflow_that_does_not_start_is_an_error(monkeypatch, without_gpu, capsys):
    monkeypatch.setattr(doctor, "ASK", "raise ImportError('broken')")
    assert doctor.main([]) == 1
    assert "does not start" in capsys.readouterr().out


def test_what_a_missing_part_costs_is_told(monkeypatch, without_gpu):
    monkeypatch.setattr(doctor, "ASK", "")
    monkeypatch.setattr(doctor, "_version_of", lambda package: None)
    monkeypatch.setattr(doctor, "BROWSERS", ())
    monkeypatch.delenv("BROWSER", raising=False)
    lines = found(doctor.examine())
    assert "600 MB" in lines["LiteRT"][1]
    assert "a machine that has one" in lines["browser"][1]
