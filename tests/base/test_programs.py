"""Another program's answer, and one line where it gives none."""

import subprocess
import time

import pytest

from malaria.base.programs import KEPT, NoAnswerError, TimeLimitError, ask


def shell(script, seconds=20):
    return ask(["sh", "-c", script], seconds)


def test_the_end_of_what_is_printed_on_both_streams_is_the_answer():
    assert shell("echo one; echo two >&2") == "one\ntwo\n"
    assert shell("printf '\\377\\n'") == "\ufffd\n"
    assert shell("yes | head -c 1000000; echo end")[-6:] == "y\nend\n"
    assert len(shell("yes | head -c 1000000")) == KEPT
    # It has nothing to read, and waits for nobody.
    assert shell("cat; echo done") == "done\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo first; echo last >&2; exit 3", "ended with exit status 3: last"),
        ("exit 4", "ended with exit status 4"),
        ("kill -KILL $$", "was ended by signal 9 (Killed)"),
        ("printf '\\033[31m'; exit 5", "ended with exit status 5: \\x1b[31m"),
    ],
)
def test_a_failure_is_told_with_the_last_line(script, reason):
    with pytest.raises(NoAnswerError) as caught:
        shell(script)
    assert str(caught.value) == reason


def test_what_cannot_be_started_is_told(tmp_path):
    with pytest.raises(NoAnswerError, match="cannot be started: Permission denied"):
        ask([str(tmp_path)], 1)
    with pytest.raises(NoAnswerError, match="cannot be started: No such file"):
        ask([str(tmp_path / "gone")], 1)


@pytest.mark.parametrize("script", ["sleep 987 & wait", "exec >&- 2>&-; sleep 987", "yes"])
def test_what_does_not_end_is_killed_with_what_it_started(script):
    with pytest.raises(TimeLimitError, match="gave no answer within 0 seconds"):
        shell(script, 0.2)
    deadline = time.monotonic() + 10
    while "sleep 987" in (
        running := subprocess.run(["ps", "ax"], capture_output=True, text=True).stdout
    ):
        assert time.monotonic() < deadline, running
