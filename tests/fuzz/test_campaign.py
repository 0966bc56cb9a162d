"""Seconds of the campaign of broken and hostile input; campaign.py runs hours of it by hand."""

import campaign
import pytest

# A .tflite is tried in a process of its own, and a network takes a tenth of a second to build.
CASES = {
    **{"images": 150, "configs": 50, "lists": 150, "archives": 50, "options": 200},
    **{"journals": 50, "workers": 100, "arrays": 50, "annotations": 150, "labels": 50},
    **{"metadata": 50, "architectures": 10, "weights": 12, "tflite": 12, "detectors": 4},
    **{"keras": 10, "saved_model": 6, "names": 30},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", CASES)
def test_every_case_is_taken_or_refused_in_one_line_soon_and_in_little_memory(target, monkeypatch):
    # Others may be at work on this machine too.
    monkeypatch.setattr(campaign, "SECONDS", 60)
    told = campaign.run(target, 0, CASES[target])
    assert told.startswith(f"{target}: {CASES[target]} cases, ")
