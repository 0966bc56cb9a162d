"""Tests of malaria/cluster/work.py and of what travels, which need no Ray."""

import pickle
from pathlib import Path

import pytest

from malaria.cluster.work import AHEAD, ENDED, Work
from malaria.cluster.worker import Baggage, Worker
from malaria.inference.load_classifier import load_classifier
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction


def paths_to(count):
    return [Path(f"{number}.png") for number in range(count)]


def answer(work, chunk):
    work.finish(chunk, [Prediction(path, label="a") for path in chunk.paths])


def test_answers_come_in_the_order_of_the_pictures_in_whatever_order_chunks_are_done():
    work = Work(paths_to(10), 4)
    chunks = [work.take(1, is_idle=True) for _ in range(3)]
    assert work.take(1, is_idle=True) is None
    told = []
    for chunk in reversed(chunks):
        answer(work, chunk)
        told.append([one.path for one in work.answers()])
    assert told == [[], [], paths_to(10)]
    assert work.is_done


def test_only_a_few_chunks_for_each_worker_are_read_ahead_of_the_first_without_an_answer():
    read = []
    work = Work((read.append(path) or path for path in paths_to(1000)), 5)
    first = work.take(2, is_idle=True)
    while chunk := work.take(2, is_idle=True):
        answer(work, chunk)
    assert len(read) == 2 * AHEAD * 5
    answer(work, first)
    assert len(list(work.answers())) == len(read)
    assert work.take(2, is_idle=True).start == 2 * AHEAD * 5


def test_what_was_lost_is_given_out_first_to_the_idle_and_blamed_only_where_it_was_alone():
    work = Work(paths_to(20), 2)
    first, second = (work.take(9, is_idle=True) for _ in range(2))
    work.give_back(second)
    work.give_back(first)
    assert (first.deaths, second.deaths) == (0, 0)
    assert work.take(9, is_idle=False).start == 4
    assert work.take(9, is_idle=True) is first
    work.give_back(first)
    assert (first.deaths, second.deaths) == (1, 0)


@pytest.mark.parametrize("deadly", [0, 5, 6])
def test_a_picture_that_ends_every_process_is_found_and_all_others_are_answered(deadly):
    work, deaths = Work(paths_to(7), 7), 0
    while chunk := work.take(1, is_idle=True):
        if paths_to(7)[deadly] in chunk.paths:
            deaths += 1
            work.give_back(chunk)
        else:
            answer(work, chunk)
    told = list(work.answers())
    assert [one.path for one in told] == paths_to(7)
    assert [one.error for one in told] == [ENDED if n == deadly else None for n in range(7)]
    assert deaths <= 9


def test_the_network_travels_as_its_bytes_and_answers_alike(cells):
    classifier = load_classifier(engine="litert").with_threshold(0.3, tta=True)
    worker, paths = Worker(), sorted(cells.glob("*/*.png"))
    baggage = pickle.loads(pickle.dumps(Baggage.pack(classifier)))
    worker.load(baggage)
    assert worker.predict(paths, fields=False) == list(predict(paths, classifier))
