"""html_template: a page of this folder with html_report.css and .js, joined into one."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from malaria.base.text import printable
from malaria.outputs.html_parts import csp_hash, polyline

FOLDER = Path(__file__).parent


def make_template(name: str = "html_report.html") -> Template:
    """A page, which escapes whatever is put into it, with its style and its script inside."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"csp_hash": csp_hash, "printable": printable}
    environment.globals |= {"polyline": polyline, "zip": zip}
    environment.globals |= {"style": _read("css"), "script": _read("js")}
    return environment.get_template(name)


def _read(suffix: str) -> str:
    return (FOLDER / f"html_report.{suffix}").read_text(encoding="utf-8")
