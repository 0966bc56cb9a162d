"""Tests of malaria/saved/label_files.py."""

import json
import os

import pytest

from malaria.base.errors import UsageError
from malaria.saved.label_files import describe_source, find_labels
from malaria.saved.pair import Pair


@pytest.fixture
def pair(tmp_path):
    return Pair(*[tmp_path / "cells.h5"] * 3, "h5")


def write(pair, name, content):
    text = content if isinstance(content, str) else json.dumps(content)
    pair.weights.with_name(name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", "0 Uninfected\n1 Parasitized\n"),
        ("labels.txt", "\ufeff0: Uninfected\r\n1: Parasitized\r\n\r\n"),
        ("class_names.txt", "Uninfected\nParasitized"),
        ("classes.txt", "Uninfected, Parasitized\n"),
        ("cells_labels.txt", "Uninfected\nParasitized"),
        ("class_indices.json", {"Parasitized": 1, "Uninfected": 0}),
        ("labels.json", ["Uninfected", "Parasitized"]),
        ("labels.json", {"0": "Uninfected", "1": "Parasitized"}),
        ("metadata.json", {"labels": ["Uninfected", "Parasitized"], "imageSize": 224}),
        ("config.json", {"id2label": {"0": "Uninfected", "1": "Parasitized"}}),
    ],
)
def test_names_beside_the_model_are_read_in_the_order_of_its_outputs(pair, name, content):
    write(pair, name, content)
    labels = find_labels(pair, 2)
    assert labels == ("Uninfected", "Parasitized")
    told = describe_source(pair, labels)
    assert told.endswith(f"{name} names the model's labels: Uninfected, Parasitized")


@pytest.mark.parametrize(
    "content",
    ["one\ntwo\nthree", "same\nsame", "a\x1b[2J\nb", "x" * 101 + "\ny", "", "1\n" * 60_000],
    ids=["another count", "twice", "escapes", "long", "empty", "large"],
)
def test_what_are_no_two_names_is_not_taken(pair, content):
    write(pair, "labels.txt", content)
    assert find_labels(pair, 2) is None


@pytest.mark.parametrize("content", [3, {"a": "b"}, {"a": 0, "b": 0}, [1, 2], {"labels": 3}, "{"])
def test_json_that_holds_no_names_is_not_taken(pair, content):
    write(pair, "labels.json", content)
    assert find_labels(pair, 2) is None


def test_a_pipe_is_not_waited_for(pair):
    os.mkfifo(pair.weights.with_name("labels.txt"))
    assert find_labels(pair, 2) is None


def ask(pair, count):
    with pytest.raises(UsageError) as caught:
        find_labels(pair, count)
    return str(caught.value)


def test_more_than_two_labels_have_to_be_named(pair):
    assert ask(pair, 4) == "name the model's 4 labels: --labels=A,B,C,D"
    assert ask(pair, 1000) == "name the model's 1000 labels: --labels=A,B,C,D,E,F,G,H,I,J,..."


def test_names_that_do_not_fit_are_offered_and_not_taken(pair):
    write(pair, "labels.txt", "red cell\nring\nother")
    told = ask(pair, 4)
    assert told == (
        "name the model's 4 labels: --labels=A,B,C,D; labels.txt beside it: "
        "--labels='red cell,ring,other'"
    )


def test_two_files_that_contradict_each_other_are_both_told(pair):
    write(pair, "labels.txt", "a\nb")
    write(pair, "class_indices.json", {"b": 0, "a": 1})
    told = ask(pair, 2)
    assert (
        "; labels.txt beside it: --labels=a,b; class_indices.json beside it: --labels=b,a" in told
    )
    write(pair, "class_indices.json", {"a": 0, "b": 1})
    assert find_labels(pair, 2) == ("a", "b")
