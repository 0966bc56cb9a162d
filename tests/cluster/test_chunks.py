"""In which order chunks are done and answered; no Ray is needed."""

from pathlib import Path

import pytest

from malaria.cluster.predict_on_cluster import ENDED, Chunks
from malaria.inference.prediction import Prediction


def paths_to(count):
    return [Path(f"{number}.png") for number in range(count)]


def answer(chunk):
    chunk.predictions = [Prediction(path, label="a") for path in chunk.paths]


def test_answers_come_in_the_order_of_the_images_in_whatever_order_chunks_are_done():
    chunks = Chunks(paths_to(10), 4)
    told = []
    for chunk in reversed(list(chunks.take(9))):
        answer(chunk)
        told.append([one.path for one in chunks.answers()])
    assert told == [[], [], paths_to(10)]
    assert list(chunks.take(9)) == []


def test_only_a_few_chunks_are_read_ahead_of_the_first_without_an_answer():
    read = []
    chunks = Chunks((read.append(path) or path for path in paths_to(1000)), 5)
    first, *others = chunks.take(8)
    for chunk in others:
        answer(chunk)
    assert list(chunks.take(8)) == []
    assert len(read) == 8 * 5
    answer(first)
    assert len(list(chunks.answers())) == len(read)
    assert next(chunks.take(8)).paths == paths_to(1000)[40:45]


def test_what_was_lost_is_done_first():
    chunks = Chunks(paths_to(20), 2)
    first, second = chunks.take(2)
    chunks.lose(second)
    again = chunks.take(3)
    assert next(again) is second
    assert next(again).paths == paths_to(20)[4:6]
    chunks.lose(first)
    assert next(chunks.take(3)) is first


@pytest.mark.parametrize("deadly", [0, 5, 6])
def test_an_image_that_ends_every_process_is_found_and_all_others_are_answered(deadly):
    chunks, deaths = Chunks(paths_to(7), 7), 0
    while some := list(chunks.take(1)):
        for chunk in some:
            if paths_to(7)[deadly] in chunk.paths:
                deaths += 1
                chunk.losses += 1
                chunks.lose(chunk)
            else:
                answer(chunk)
    told = list(chunks.answers())
    assert [one.path for one in told] == paths_to(7)
    assert [one.error for one in told] == [ENDED if n == deadly else None for n in range(7)]
    assert deaths == 4
