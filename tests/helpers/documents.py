"""The code blocks of the documents."""

import re

# Its groups are the language and the code.
FENCED = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a page in a language."""
    return [code for found, code in FENCED.findall(text) if found == language]
