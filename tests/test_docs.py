"""README.md and docs/: their links lead somewhere, their commands exist, their tables are true."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from malaria.cli import doctor, draw, label, options, train
from malaria.settings.config import Config
from malaria.settings.config_file import read_config

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "pretrained" / "MODEL_CARD.md"]
PAGES += sorted((TOP / "docs").glob("*.md"))
# [text](target) and ![text](target), but none within code.
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SCRIPTS = dict.fromkeys(("train.py", "malaria-train"), "train")
SCRIPTS |= dict.fromkeys(("run.py", "malaria-classify"), "classify")
# Commands whose few options are not checked.
MODULES = {"draw": draw, "doctor": doctor}
PARSERS = {"train": train.parse, "classify": options.parse, "label": label.parse}


def text_of(page):
    return page.read_text(encoding="utf-8")


def anchors_of(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_it_and_to_a_heading_of_it(page):
    links = LINK.findall(FENCE.sub("", text_of(page)))
    for link in links:
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def commands():
    """(page, command) of every command in a block of shell, lines that go on put together."""
    blocks = [(page, *found) for page in PAGES for found in FENCE.findall(text_of(page))]
    for page, language, block in blocks:
        lines = block.replace("\\\n", " ").splitlines() if language in ("bash", "sh") else []
        for command in (line.strip().removeprefix("$ ") for line in lines):
            if command and not command.startswith("#"):
                yield pytest.param(command, id=f"{page.name}: {command[:60]}")


@pytest.mark.parametrize("command", list(commands()))
def test_a_command_in_the_docs_names_what_is_there(command):
    for part in re.split(r"\s*(?:&&|\|\||\||;|>)\s*", command):
        check(shlex.split(part, comments=True))


def check(words):
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if words[:3] == ["python", "-m", "malaria"] and len(words) > 3:
        check_arguments(words[3], words[4:])
    elif words[:1] in (["python"], ["bash"]) and words[1:2] and not words[1].startswith("-"):
        assert (TOP / words[1]).is_file(), words[1]
        if words[1] in SCRIPTS:
            check_arguments(SCRIPTS[words[1]], words[2:])
    elif words[:1] and words[0] in SCRIPTS:
        check_arguments(SCRIPTS[words[0]], words[1:])


def check_arguments(command, arguments):
    """The options exist; the settings and the configs that they name, too."""
    if {"--help", "--version"} & set(arguments):
        return
    if command in MODULES:
        assert callable(MODULES[command].main)
        return
    parsed = PARSERS["label" if "--label" in arguments else command](arguments)
    if command == "train" and (TOP / parsed.config).is_file():
        assert isinstance(read_config(TOP / parsed.config, parsed.set), Config)


def test_config_yaml_and_the_tables_in_the_docs_are_what_the_declarations_make():
    """Otherwise: python docs/make_reference.py."""
    make_all = runpy.run_path(str(TOP / "docs" / "make_reference.py"))["make_all"]
    for path, text in make_all().items():
        assert path.read_text(encoding="utf-8") == text, path


def test_the_readme_is_short():
    assert len(text_of(TOP / "README.md").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_former_names_of_settings_are_not_taught(page):
    former = {"weight_average", "small_epochs", "small_size", "suspects.csv"}
    taught = former & set(re.findall(r"[\w.]+", text_of(page)))
    # Where they are told to be former ones.
    assert not taught or "formerly" in text_of(page)


def test_the_figures_of_the_laboratory_page_stand_in_the_run_that_it_links():
    """Otherwise: python docs/draw_laboratory.py, and mend the text."""
    page, told = text_of(TOP / "docs/laboratory.md"), text_of(TOP / "docs/laboratory/run.txt")
    of_run = page[: page.index("## When the page warns")]
    for figure in re.findall(r"\d[\d.,]*% \[[^\]]+\]|\d[\d.,]*%", FENCE.sub("", of_run)):
        assert figure in told, figure
    for _, block in FENCE.findall(of_run):
        for line in block.splitlines():
            assert not line.startswith("python") or f"$ {line}" in told, line
    pictures = [*(TOP / "docs/laboratory").iterdir()]
    shown = re.findall(r"\(laboratory/([\w.-]+)\)", page)
    assert {one.name for one in pictures} == set(shown)
    assert sum(one.stat().st_size for one in pictures) < 600_000
