"""The frame of the HTML pages: styles, scripts, heading and sections, in one self-contained file."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from textgen_runtime.system.files import begins_with

from .chart import STYLE
from .html_text import html


def fill_page(*, title: str, status: str, summary: str, sections: Sequence[str]) -> str:
    """Return a page.

    Args:
        title: The title and heading, plain text.
        status: A line below the heading, plain text.
        summary: HTML below it.
        sections: Results of ``section``.
    """
    return Template(template()).substitute(
        title=html(title), style=STYLE, status=html(status), summary=summary, sections="\n".join(sections)
    )


def section(name: str, content: str, *, wide: bool = True) -> str:
    """Return a section.

    Args:
        name: Its heading, plain text. It must be unique within the page.
        content: HTML.
        wide: Whether it takes the full width of a wide screen, instead of half of it.
    """
    anchor = name.lower().replace(" ", "-")
    width = ' class="wide-section"' if wide else ""
    heading = f'<h2 id="{anchor}-heading">{html(name)}</h2>'
    return f'<section id="{anchor}"{width} aria-labelledby="{anchor}-heading">{heading}\n{content}</section>'


def template() -> str:
    """Return the template of the pages."""
    return files(__package__).joinpath("page.html").read_text(encoding="utf-8")


def is_report_page(path: Path, title: str) -> bool:
    """Return whether a file is a page whose title begins with this text; False if it cannot be read."""
    return begins_with(path, f"{template().partition('$')[0]}{html(title)}".encode())
