"""A minute of the campaign of broken and hostile input; campaign.py runs hours of it by hand."""

import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("campaign.py")
# Those that build a network take a tenth of a second each.
CASES = {
    **{"images": 1500, "configs": 300, "lists": 500, "archives": 200, "options": 1000},
    **{"metadata": 150, "architectures": 40, "weights": 40, "tflite": 300},
}


@pytest.mark.parametrize("target", CASES)
def test_every_case_is_taken_or_refused_in_one_line_soon_and_in_little_memory(target, tmp_path):
    command = [sys.executable, CAMPAIGN, "--target", target, f"--cases={CASES[target]}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-1000:]
    assert result.stdout.startswith(f"{target}: {CASES[target]} cases, ")
