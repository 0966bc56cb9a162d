"""A step of Slurm: which tasks its variables tell, and what they cannot tell."""

import os

import pytest

from malaria.base.errors import UsageError
from malaria.training import slurm

NAMES = ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE")


@pytest.fixture
def step(monkeypatch):
    """A function that sets the variables of a step: tasks, rank, nodes, tasks per node."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(slurm, "list_cards", lambda: [])

    def set_variables(*values):
        for name, value in zip(NAMES, values, strict=True):
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return set_variables


@pytest.mark.parametrize(
    ("values", "tasks"),
    [
        (("2", "1", "n[1-2]", "1(x2)"), ["n1:8888", "n2:8888"]),
        # The order is Slurm's, for the ranks follow it, and not that of the alphabet.
        (("3", "1", "n[9-10],m", "1(x3)"), ["n9:8888", "n10:8888", "m:8888"]),
        (("3", "1", "a,b", "2,1"), ["a:8888", "a:8889", "b:8888"]),
        (("4", "1", "r[1-2]n[07,09]x", "1(x4)"),
         ["r1n07x:8888", "r1n09x:8888", "r2n07x:8888", "r2n09x:8888"]),
    ],
)  # fmt: skip
def test_the_tasks_of_a_step_have_a_host_and_a_port_each(step, values, tasks):
    step(*values)
    assert slurm.is_step()
    assert slurm.find_tasks() == (tasks, 1)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(
    ("visible", "found", "expected"),
    [
        (None, 4, "2,3"),
        ("4,5,6,7", 0, "6,7"),
        # Fewer than tasks: Slurm has shared them out itself.
        ("0", 1, "0"),
        ("", 0, ""),
    ],
)
def test_tasks_of_one_node_share_its_gpus(step, monkeypatch, visible, found, expected):
    step("2", "1", "a", "2")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(slurm, "list_cards", lambda: [None] * found)
    slurm.find_tasks()
    assert os.environ.pop("CUDA_VISIBLE_DEVICES") == expected


@pytest.mark.parametrize("value", ["abc", "1e400", "-2", "[[[", "9" * 5000, "2 2", "٣", "2\n"])
def test_a_number_of_tasks_that_is_none_is_refused(step, value):
    step(value, "0", "a", "1")
    with pytest.raises(UsageError, match=r"SLURM_STEP_NUM_TASKS: expected a value like 4; "):
        slurm.is_step()


def test_one_task_or_none_is_no_step(step):
    for value in ("", "1"):
        step(value, "0", "a", "1")
        assert not slurm.is_step()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("2", None, "a", "2"), "SLURM_PROCID: expected a value like 0; received ''"),
        (("2", "0", None, "2"), "SLURM_STEP_NODELIST: expected"),
        (("2", "0", "a[1-]", "2"), "SLURM_STEP_NODELIST: expected"),
        (("2", "0", "[" * 9000, "2"), "SLURM_STEP_NODELIST: expected"),
        (("2", "0", "a", "two"), "SLURM_STEP_TASKS_PER_NODE: expected"),
        (("2", "0", "a,b", "2"), r"Slurm: expected 2 tasks, .* received '2' on 'a,b' and 0"),
        (("3", "0", "a,b", "1(x2)"), "Slurm: expected 3 tasks"),
        (("2", "2", "a,b", "1(x2)"), "Slurm: expected 2 tasks"),
        # None of these fills the memory.
        (("999999", "0", "n[1-999999999]", "1(x999999)"), "Slurm: expected 999999 tasks"),
        (("9", "0", "n[1-999999999]r[1-999999999]", "999999"), "Slurm: expected 9 tasks"),
    ],
)
def test_variables_that_do_not_go_together_are_told_at_once(step, values, message):
    step(*values)
    with pytest.raises(UsageError, match=message):
        slurm.find_tasks()
