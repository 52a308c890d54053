"""HTML of the pages: text of users, tables, the style of charts, and the frame of a self-contained file."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template

FIRST_PRINTABLE, DELETE, CONTROL_PICTURES = 0x20, 0x7F, 0x2400
VISIBLE: dict[int, int] = {code: CONTROL_PICTURES + code for code in range(FIRST_PRINTABLE)}
# A browser treats C1 controls and lone surrogates as errors.
VISIBLE |= {DELETE: 0x2421, **dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000)), 0xFFFD)}
del VISIBLE[ord("\n")], VISIBLE[ord("\t")]


# The colors and lines of charts. The pages use the colors too.
STYLE = """
  :root {
    --page: #fcfbf9; --ink: #1d1b19; --faint: #625c56; --line: #ddd7d0; --card: #ffffff;
    --held-out: #1a5fb4; --training: #a84300; --running: #8a6d55; --learning-rate: #26734d;
  }
  @media (prefers-color-scheme: dark) {
    :root {
      --page: #17181b; --ink: #e9e6e2; --faint: #aaa49d; --line: #3a3c42; --card: #212327;
      --held-out: #7db4ff; --training: #ffa261; --running: #b59a86; --learning-rate: #6fcf9d;
    }
  }
  svg { font-family: system-ui, sans-serif; }
  .tick, .axis { fill: var(--faint); font-size: 11px; }
  .label { font-size: 11px; }
  .label.held-out { fill: var(--held-out); font-weight: 600; }
  .label.training { fill: var(--training); font-weight: 600; }
  .label.running { fill: var(--running); } .label.learning-rate { fill: var(--learning-rate); }
  .label.reference { fill: var(--faint); }
  .grid { stroke: var(--line); stroke-width: 1; }
  .reference { stroke: var(--faint); stroke-width: 1; stroke-dasharray: 5 4; }
  text.reference { stroke: none; }
  .leader { stroke: var(--faint); stroke-width: .75; fill: none; }
  polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
  polyline.held-out { stroke: var(--held-out); } circle.held-out { fill: var(--held-out); }
  polyline.training { stroke: var(--training); } circle.training { fill: var(--training); }
  polyline.running { stroke: var(--running); stroke-width: 1; }
  polyline.learning-rate { stroke: var(--learning-rate); stroke-width: 1.5; }
"""


def html(text: object) -> str:
    """Return a text as HTML that shows it unchanged, in an element or in an attribute in double quotes.

    Control characters, except the line end and the tab, become visible symbols.
    """
    return escape(str(text).translate(VISIBLE))


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()
) -> str:
    """Return a table with a caption, a row of headings, and a heading in each row.

    Args:
        caption: Plain text.
        head: The headings of the columns, plain text.
        rows: HTML of the cells. The first cell of each row is its heading.
        numbers: Indexes of the columns with numbers, which are aligned to the right.
    """
    align = dict.fromkeys(numbers, ' class="number"')
    headings = "".join(f'<th scope="col"{align.get(i, "")}>{html(name)}</th>' for i, name in enumerate(head))
    body = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td{align.get(i, '')}>{cell}</td>" for i, cell in enumerate(cells, 1))
        + "</tr>\n"
        for first, *cells in rows
    )
    return (
        f'<div class="scroll"><table><caption>{html(caption)}</caption><thead><tr>{headings}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a list of names, plain text, and values, HTML."""
    return f"<dl>{''.join(f'<div><dt>{html(name)}</dt><dd>{value}</dd></div>' for name, value in pairs)}</dl>"


def command(text: str) -> str:
    """Return a block of code that a reader may copy."""
    return f'<pre class="command"><code>{html(text)}</code></pre>'


def fill_page(*, title: str, status: str, summary: str, sections: Sequence[str]) -> str:
    """Return a page.

    Args:
        title: The title and heading, plain text.
        status: A line below the heading, plain text.
        summary: HTML below it.
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
