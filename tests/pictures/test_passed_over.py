"""Tests of malaria/pictures/passed_over.py."""

from collections import Counter

from malaria.pictures.passed_over import PassedOver

LABELS = ("Parasitized", "Uninfected")


def lines(**known):
    return [*PassedOver(**known).describe(LABELS)]


def test_nothing_is_said_of_nothing():
    assert lines() == []


def test_each_folder_that_no_label_names_is_told_with_its_images():
    assert lines(unlabelled=Counter({"Unsure": 60, "": 2, "\x1b": 1})) == [
        "passed over: Unsure, 60 images: not among the labels",
        "passed over: 2 images without a label, in no folder or row that tells one",
        r"passed over: \x1b, 1 image: not among the labels",
    ]
    many = lines(unlabelled=Counter({str(number): 1000 for number in range(12)}))
    assert len(many) == 11
    assert many[-1] == "passed over: 2 more, 2,000 images: not among the labels"


def test_another_spelling_of_a_label_is_pointed_out_but_not_its_opposite():
    for name in ("parasitized", "lab/PARASITIZED", " Parasitized ", "Parasitised"):
        [line] = lines(unlabelled=Counter([name]))
        assert line.endswith("not among the labels; did you mean Parasitized?")
    [line] = lines(unlabelled=Counter(["Infected"]))
    assert line.endswith("not among the labels")


def test_what_came_again_and_what_are_no_images_are_told_in_one_line_each():
    assert lines(files=Counter(hidden=2), again=1000, nameless=3) == [
        "passed over, not images: 2 hidden",
        "passed over: 3 rows of a table that name no image",
        "named again, and counted once: 1,000 images",
    ]
