"""Tests of malaria/cli/options.py and values.py."""

import re
from pathlib import Path

import pytest

from malaria.base.errors import UsageError
from malaria.base.patterns import Pattern
from malaria.base.text import printable
from malaria.cli import train
from malaria.cli.options import parse

ENDINGS = "a name ending in .csv or .json or .jsonl or .geojson or .coco.json"
LEAST = ["--model=m", "--image=i"]
THRESHOLD = "a number from 0 to 1, youden, counting, or sensitivity>=S with S above 0 and at most 1"


def refusal(*arguments):
    with pytest.raises(UsageError) as caught:
        parse([*arguments])
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_without_options_the_rows_are_printed_and_nothing_else_is_done():
    options = parse(LEAST)
    assert (options.model, options.image) == ([Path("m")], ["i"])
    assert (options.engine, options.group_by) == ("auto", None)
    assert options.metrics == Path("metrics.json")
    for name in ("slice", "resize", "labels", "threshold", "review", "output", "report", "plot",
                 "explain", "tta"):  # fmt: skip
        assert getattr(options, name) is None
    for name in ("resume", "count_only", "evaluate", "debug"):
        assert getattr(options, name) is False


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--slice=0,3", (0, 3)),
        ("--resize=141, 99", (141, 99)),
        ("--labels=ill, well", ["ill", "well"]),
        ("--engine=keras", "keras"),
        ("--threshold=0", 0.0),
        ("--threshold=1", 1.0),
        ("--review=0.3,0.7", (0.3, 0.7)),
        ("--output=a b/c.JSONL", Path("a b/c.JSONL")),
        ("--report=a.html", Path("a.html")),
        ("--plot", Path("predictions.png")),
        ("--plot=True", Path("predictions.png")),
        ("--plot=False", None),
        ("--plot=a.png", Path("a.png")),
        ("--group_by=folder", "folder"),
        ("--group_by=P(\\d+)", Pattern("P(\\d+)")),
        ("--tta", True),
        ("--no-tta", False),
    ],
)
def test_an_option_becomes_its_value(argument, value):
    name = argument.partition("=")[0].removeprefix("--").removeprefix("no-")
    assert getattr(parse([*LEAST, argument]), name) == value


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        *((f"--slice={text}", "two numbers A,B with 0 <= A < B")
          for text in ("3", "1,2,3", "a,b", "5,2", "-1,2")),
        *((f"--resize={text}", "height,width in pixels, from 1 to 4096")
          for text in ("99", "0,9", "9,4097")),
        *((f"--labels={text}", "two or more unlike names, A,B") for text in ("a", "a,a", "a,")),
        *((f"--threshold={text}", THRESHOLD) for text in ("50%", "1.1", "nan", "2")),
        *((f"--review={text}", "two numbers LOW,HIGH with 0 <= LOW < HIGH <= 1")
          for text in ("0.5", "0.7,0.3", "0.5,0.5", "0,nan")),
        ("--output=a.txt", ENDINGS),
        ("--output=\x1b[2J\n.txt", ENDINGS),
        ("--report=a.pdf", "a name ending in .html"),
        ("--metrics=a.csv", "a name ending in .json"),
        ("--plot=a.jpg", "a name ending in .png"),
        ("--group_by=(", "a regular expression: missing ), unterminated subpattern at position 0"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_line_with_what_is_expected_and_what_was_received(argument, expected):
    name, _, text = argument.partition("=")
    said = f"argument {name}: expected {expected}; received {printable(text)}; see run.py --help"
    assert refusal(*LEAST, argument) == said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: --image"),
        (["--model=m"], "the following arguments are required: --image"),
        (["--model", "--image=i"], "argument --model: expected at least one argument"),
    ],
)
def test_the_image_has_to_be_named_and_a_model_if_the_option_is(arguments, message):
    assert refusal(*arguments) == f"{message}; see run.py --help"


def test_an_option_that_is_given_twice_drops_none_of_its_images_or_models():
    options = parse(["--image", "a", "b", "--model=1.h5", "--image=c", "--evaluate"])
    assert options.image == ["a", "b", "c"]
    assert options.model == [Path("1.h5")]


def test_without_a_model_the_pretrained_one_is_taken_and_several_are_for_evaluation():
    pretrained = Path(__file__).parents[2] / "pretrained" / "compact.h5"
    assert parse(["--image=i"]).model == [pretrained]
    assert parse(["--model", "a", "b", "--image=i", "--evaluate"]).model == [Path("a"), Path("b")]


@pytest.mark.parametrize(
    "argument",
    ["--output=a.csv", "--report=a.html", "--explain=a", "--plot", "--count_only", "--review=0,1"],
)
def test_what_goes_with_one_model_is_refused_for_several(argument):
    name = argument.partition("=")[0]
    said = refusal("--model", "a", "b", "--image=i", "--evaluate", argument)
    assert said == f"{name} goes with one --model; received 2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--image=i --resume", "--resume goes on with an interrupted --output; add --output FILE"),
        ("--image=i --red_cells=4e6", "--red_cells goes with the parasitaemia of --fields; add"),
        ("--image=i --fields --red_cells=4.5", "red cells per microlitre, from 1e5 to 2e7.* 4.5; "),
        ("--image=i --fields --red_cells=nan", "red cells per microlitre, from 1e5 to 2e7"),
        ("--image=i --white_cells=8e3", "--white_cells goes with the parasitaemia of --fields; "),
        ("--image=i --fields --white_cells=8", "white cells per microlitre, from 100 to 1e6.* 8; "),
        ("--image=i --fields --white_cells=8e3 --red_cells=4e6", "cells does not go with --r"),
        ("--image=i --cells=x", "--cells keeps the cells of --fields; add --fields"),
        *((f"--image=i --fields {other}", "is for images of single cells; leave out --fields")
          for other in ("--explain=x", "--plot")),
        ("--image=i --boxes=x", "--boxes tells the cells of --fields; add --fields"),
        ("--image=i --fields --evaluate", "cells that somebody annotated; add --boxes FILE"),
        ("--image=i --output=a.coco.json",
         ".coco.json holds the boxes of cells; add --fields, or name a .csv"),
        ("--image=i --output=a.GeoJSON", ".geojson holds the boxes of cells; add --fields"),
        ("--image=i --fields --boxes=x --cluster=local", "--boxes does not go with --cluster"),
        ("--image=i --fields --evaluate --boxes=x --model a b", "--fields goes with one --model"),
        ("--image=i --model a b",
         "--model: several models are compared with --evaluate; add it"),
        ("--calibrate=x", "--calibrate writes a new model; add --save FILE.h5"),
        ("--calibrate=x --save=a.h5 --image=b", "--image does not go with --calibrate"),
        ("--calibrate=x --save=a.h5 --fields", "--fields does not go with --calibrate"),
        ("--calibrate=x --save=a.h5 --model a b", "goes with one --model"),
        ("--image=b --engine=gpu", "auto.*litert.*keras"),
        ("--image=b --threshold=youden", "received youden, which goes with --calibrate"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_and_an_unknown_engine_are_refused(arguments, message):
    assert re.search(message, refusal(*arguments.split()))


def help_of(parse, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert not caught.value.code
    return capsys.readouterr().out


def test_help_has_groups_defaults_three_examples_and_fits_a_screen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    said = help_of(parse, capsys)
    for group in ("what to classify, and with what:", "how to decide:", "results:",
                  "evaluation and explanation:"):  # fmt: skip
        assert f"\n{group}\n" in said
    assert "(default: auto)" in said
    assert "(default: metrics.json)" in said
    assert said.count("\n  python run.py --") == 3
    assert max(map(len, said.splitlines())) <= 100
    assert "None" not in said
    described = set(re.findall(r"--[\w-]+", said))
    assert described == {f"--{name}" for name in [*vars(parse(LEAST)), "help", "no-guard", "no-tta",
                         "version"]}  # fmt: skip


@pytest.mark.parametrize(("script", "parse"), [("run", parse), ("train", train.parse)])
def test_every_example_in_the_help_can_be_parsed(script, parse, capsys):
    examples = re.findall(
        rf"^  python {script}\.py ([^>]*?)(?:  .*|> .*)?$", help_of(parse, capsys), re.M
    )
    assert len(examples) >= 3
    for example in examples:
        parse(example.split())


def test_the_installed_command_is_named_in_its_help_and_in_its_mistakes(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/malaria-classify"])
    said = help_of(parse, capsys)
    assert "usage: malaria-classify " in said
    assert said.count("\n  malaria-classify --") == 3
    assert "run.py" not in said
    assert refusal(*LEAST, "--colour").endswith("; see malaria-classify --help")
