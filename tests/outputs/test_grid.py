"""Tests of malaria/outputs/grid.py."""

from PIL import Image

from malaria.inference.prediction import Prediction
from malaria.outputs.grid import PLOTTED, Grid


def test_the_grid_shows_what_could_be_read(predict_all, feed, tmp_path, capsys):
    grid = Grid(tmp_path / "grid.png")
    feed(grid, predict_all())
    assert len(grid.shown) == 9
    assert all(prediction.error is None for prediction in grid.shown)
    with Image.open(tmp_path / "grid.png") as image:
        image.load()
    assert capsys.readouterr().err == f"saved {tmp_path}/grid.png\n"


def test_of_many_pictures_the_first_are_shown(predict_all, tmp_path):
    grid = Grid(tmp_path / "grid.png")
    readable = [prediction for prediction in predict_all() if prediction.error is None]
    for prediction in readable * PLOTTED:
        grid.add(prediction)
    assert grid.shown == (readable * PLOTTED)[:PLOTTED]


def test_a_picture_that_is_gone_by_then_is_left_out(predict_all, feed, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("malaria.outputs.grid.plot_grid", lambda *given: told.append(given))
    first, *others = [prediction for prediction in predict_all() if prediction.error is None]
    first.path.unlink()
    feed(Grid(tmp_path / "grid.png"), [first, *others])
    [(_, images, titles)] = told
    assert titles == [f"{one.label} {one.probability:.3f}" for one in others]
    assert len(images) == len(titles)


def test_of_nothing_and_where_all_images_are_gone_by_then_there_is_no_file(feed, tmp_path):
    for predictions in ([], [Prediction(tmp_path / "gone.png", "a", 1.0)]):
        feed(Grid(tmp_path / "grid.png"), predictions)
        assert list(tmp_path.iterdir()) == []
