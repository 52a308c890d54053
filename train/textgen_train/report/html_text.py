"""Text of users in HTML: escaped, and with visible control characters."""

from collections.abc import Iterable, Sequence
from html import escape

FIRST_PRINTABLE, DELETE, CONTROL_PICTURES = 0x20, 0x7F, 0x2400
VISIBLE: dict[int, int] = {code: CONTROL_PICTURES + code for code in range(FIRST_PRINTABLE)}
# A browser treats C1 controls and lone surrogates as errors.
VISIBLE |= {DELETE: 0x2421, **dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000)), 0xFFFD)}
del VISIBLE[ord("\n")], VISIBLE[ord("\t")]


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
