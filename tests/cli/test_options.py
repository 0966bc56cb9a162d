"""Tests of malaria/cli/options.py and values.py."""

import re
from pathlib import Path

import pytest

from malaria.base.errors import UsageError
from malaria.base.patterns import Pattern
from malaria.cli.options import parse

LEAST = ["--model=m", "--image=i"]
THRESHOLD = "expected a number from 0 to 1, youden, or sensitivity>=S with S above 0 and at most 1"


def refusal(*arguments):
    with pytest.raises(UsageError) as caught:
        parse([*LEAST, *arguments])
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_without_options_the_rows_are_printed_and_nothing_else_is_done():
    options = parse(LEAST)
    assert (options.model, options.image) == ([Path("m")], ["i"])
    assert (options.engine, options.group_by) == ("auto", None)
    assert options.metrics == Path("metrics.json")
    for name in ("slice", "resize", "labels", "threshold", "review", "output", "report", "plot",
                 "explain"):  # fmt: skip
        assert getattr(options, name) is None
    for name in ("resume", "count_only", "evaluate", "debug"):
        assert getattr(options, name) is False


@pytest.mark.parametrize(
    ("argument", "name", "value"),
    [
        ("--slice=0,3", "slice", (0, 3)),
        ("--resize=141, 99", "resize", (141, 99)),
        ("--labels=ill, well", "labels", ["ill", "well"]),
        ("--engine=keras", "engine", "keras"),
        ("--threshold=0", "threshold", 0.0),
        ("--threshold=1", "threshold", 1.0),
        ("--review=0.3,0.7", "review", (0.3, 0.7)),
        ("--output=a b/c.JSONL", "output", Path("a b/c.JSONL")),
        ("--report=a.html", "report", Path("a.html")),
        ("--plot", "plot", Path("predictions.png")),
        ("--plot=True", "plot", Path("predictions.png")),
        ("--plot=False", "plot", None),
        ("--plot=a.png", "plot", Path("a.png")),
        ("--group_by=folder", "group_by", "folder"),
        ("--group_by=P(\\d+)", "group_by", Pattern("P(\\d+)")),
    ],
)
def test_an_option_becomes_its_value(argument, name, value):
    assert getattr(parse([*LEAST, argument]), name) == value


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        *((f"--slice={text}", "argument --slice: expected two numbers A,B with 0 <= A < B; "
           f"received {text}") for text in ("3", "1,2,3", "a,b", "5,2", "-1,2")),
        *((f"--resize={text}", "argument --resize: expected height,width in pixels, from 1 to "
           f"4096; received {text}") for text in ("99", "0,9", "9,4097")),
        ("--labels=a", "argument --labels: expected two or more unlike names, A,B; received a"),
        ("--labels=a,a", "argument --labels: expected two or more unlike names, A,B; "
         "received a,a"),
        ("--labels=a,", "argument --labels: expected two or more unlike names, A,B; received a,"),
        ("--threshold=50%", f"argument --threshold: {THRESHOLD}; received 50%"),
        ("--threshold=1.1", f"argument --threshold: {THRESHOLD}; received 1.1"),
        ("--threshold=nan", f"argument --threshold: {THRESHOLD}; received nan"),
        *((f"--review={text}", "argument --review: expected two numbers LOW,HIGH with "
           f"0 <= LOW < HIGH <= 1; received {text}")
          for text in ("0.5", "0.7,0.3", "0.5,0.5", "0,nan")),
        ("--output=a.txt", "argument --output: expected a name ending in .csv or .json or .jsonl; "
         "received a.txt"),
        ("--report=a.pdf", "argument --report: expected a name ending in .html; received a.pdf"),
        ("--metrics=a.csv", "argument --metrics: expected a name ending in .json; received a.csv"),
        ("--plot=a.jpg", "argument --plot: expected a name ending in .png; received a.jpg"),
        ("--group_by=(", "argument --group_by: expected a regular expression: missing ), "
         "unterminated subpattern at position 0; received ("),
        ("--output=\x1b[2J\n.txt", "argument --output: expected a name ending in .csv or .json or "
         ".jsonl; received \\x1b[2J\\n.txt"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_line_with_what_is_expected_and_what_was_received(argument, message):
    assert refusal(argument) == f"{message}; see run.py --help"


def test_an_unknown_engine_is_told_the_known_ones():
    assert re.search("auto.*litert.*keras", refusal("--engine=gpu"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: --image; see run.py --help"),
        (["--model=m"], "the following arguments are required: --image; see run.py --help"),
        (["--model", "--image=i"], "argument --model: expected at least one argument; "
         "see run.py --help"),
    ],
)  # fmt: skip
def test_the_image_has_to_be_named_and_a_model_if_the_option_is(arguments, message):
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "argument", ["--out=a.csv", "--eval", "--thresh=0.5", "--count", "--colour"]
)
def test_options_are_not_abbreviated(argument):
    assert refusal(argument) == f"unrecognized arguments: {argument}; see run.py --help"


def test_without_a_model_the_pretrained_one_is_taken():
    [model] = parse(["--image=i"]).model
    assert model == Path(__file__).parents[2] / "pretrained" / "compact.h5"


@pytest.mark.parametrize(
    ("arguments", "tta"), [([], None), (["--tta"], True), (["--no-tta"], False)]
)
def test_tta_is_on_or_off_or_as_the_model_says(arguments, tta):
    assert parse(["--image=i", *arguments]).tta is tta


def test_several_models_are_for_evaluation():
    message = "--model: several models are compared with --evaluate; add it"
    with pytest.raises(UsageError, match=message):
        parse(["--model", "a", "b", "--image=i"])
    assert parse(["--model", "a", "b", "--image=i", "--evaluate"]).model == [Path("a"), Path("b")]


@pytest.mark.parametrize(
    "argument",
    ["--output=a.csv", "--report=a.html", "--explain=a", "--plot", "--count_only", "--review=0,1"],
)
def test_what_goes_with_one_model_is_refused_for_several(argument):
    name = argument.partition("=")[0]
    with pytest.raises(UsageError) as caught:
        parse(["--model", "a", "b", "--image=i", "--evaluate", argument])
    assert str(caught.value) == f"{name} goes with one --model; received 2"


def test_only_an_output_can_go_on():
    expected = "--resume goes on with an interrupted --output; add --output FILE"
    assert refusal("--resume") == expected


def test_help_has_groups_defaults_three_examples_and_fits_a_screen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert not caught.value.code
    said = capsys.readouterr().out
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


def test_every_example_in_the_help_can_be_parsed(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    examples = re.findall(r"^  python run\.py (.*)$", capsys.readouterr().out, re.MULTILINE)
    for example in examples:
        parse(example.split())


def test_the_installed_command_is_named_in_its_help_and_in_its_mistakes(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/malaria-classify"])
    with pytest.raises(SystemExit):
        parse(["--help"])
    said = capsys.readouterr().out
    assert "usage: malaria-classify " in said
    assert said.count("\n  malaria-classify --") == 3
    assert "run.py" not in said
    assert refusal("--colour").endswith("; see malaria-classify --help")
