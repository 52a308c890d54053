"""The amalgamation: all sources of the C core as one file, which needs only the public header.

Each header is inserted where it is first included. A header without an include guard is a template: it is
inserted at each ``#include``, because its macros differ. All functions but the public ones become static. The
sources keep their own names: if two of them use the same name within their file, macros rename it in the
second.
"""

import re
from collections.abc import Iterator
from pathlib import Path

PUBLIC_HEADER = "textgen.h"

# setup.py copies the sources to the first folder when it builds a wheel. In a clone they are in the second.
INSTALLED = Path(__file__).parent / "core"
CLONE = Path(__file__).resolve().parents[2] / "core"

INCLUDE = re.compile(r'#include "([^"]+)"')
GUARD = re.compile(r"^#ifndef (\w+_H)\n#define \1\n(.*)^#endif\n\Z", re.MULTILINE | re.DOTALL)
MACRO = re.compile(r"^\s*#\s*define (\w+)", re.MULTILINE)

# Declarations and definitions begin in the first column.
PUBLIC = re.compile(r"^TEXTGEN_API [^(]*?(\w+)\(", re.MULTILINE)
FUNCTION = re.compile(
    r"^(?!static\b|typedef\b|TEXTGEN_|INLINE\b|NOINLINE\b|TARGET\b)\w[\w *]*?\b(?:NAME\()?(textgen_\w+)\)?\("
)
VARIABLE = re.compile(r"^(?:extern (?=const )|(?=const [^(;]* = ))")

# Names that are known only within one source.
LOCAL_FUNCTION = re.compile(r"^static [^=;{(]*?(\w+)\(", re.MULTILINE)
LOCAL_VARIABLE = re.compile(r"^static [^=;{(]*?(\w+)(?:\[[^=;]*\])? =", re.MULTILINE)
LOCAL_TYPE = re.compile(r"^(?:typedef [^{;]*?|\} )(\w+);", re.MULTILINE)
LOCAL_CONSTANTS = re.compile(r"^enum \{(.*?)\};", re.MULTILINE | re.DOTALL)
CONSTANT = re.compile(r"(?:^|,)\s*(\w+)")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

PRIVATE = """\
/* Everything but the functions of textgen.h is static, and not every processor uses all of it. In one source,
 * gcc inlines more, and then sees variables without a value where there are none. */
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-const-variable"
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
"""


def core_folder() -> Path:
    """Return the folder with ``textgen.h``, the other sources and the folder ``kernels``."""
    return INSTALLED if INSTALLED.is_dir() else CLONE


def amalgamate(folder: Path) -> str:
    """Return the sources in a folder and in its subfolder ``kernels`` as one file."""
    return _Amalgamation(folder).text()


class _Amalgamation:
    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._public = set(PUBLIC.findall((folder / PUBLIC_HEADER).read_text(encoding="utf-8")))
        self._included: set[Path] = set()
        self._local_names: set[str] = set()

    def text(self) -> str:
        sources = sorted([*self._folder.glob("*.c"), *self._folder.glob("kernels/*.c")])
        contents = {source: source.read_text(encoding="utf-8") for source in sources}
        # Macros that select what the system's headers declare must come before the first of them.
        settings = [_settings(content) for content in contents.values()]
        # This header has settings of the compiler, which must be the same for all functions.
        exact = self._insert(self._folder / "exact.h")
        parts = [*filter(None, settings), f'#include "{PUBLIC_HEADER}"\n', PRIVATE, *exact]
        for source, content in contents.items():
            parts += self._source(source, content.removeprefix(_settings(content)))
        return "\n".join(parts)

    def _source(self, path: Path, content: str) -> Iterator[str]:
        """Yield the content of a source, and macros around it that keep its names apart from others."""
        code = COMMENT.sub("", content)
        names = {
            name for pattern in (LOCAL_FUNCTION, LOCAL_VARIABLE, LOCAL_TYPE) for name in pattern.findall(code)
        }
        for constants in LOCAL_CONSTANTS.findall(code):
            names |= set(CONSTANT.findall(constants))
        repeated = sorted(names & self._local_names)
        self._local_names |= names
        macros = sorted({*repeated, *MACRO.findall(code)})
        yield f"/* {path.relative_to(self._folder).as_posix()} */\n"
        body = "\n".join(self._lines(path.parent, content))
        yield "".join(f"#define {name} {path.stem}_{name}\n" for name in repeated)
        yield f"{body}\n"
        yield "".join(f"#undef {name}\n" for name in macros)

    def _lines(self, folder: Path, content: str) -> Iterator[str]:
        for line in content.splitlines():
            included = INCLUDE.match(line)
            if included:
                yield from self._insert((folder / included[1]).resolve())
            else:
                yield self._private(line)

    def _insert(self, header: Path) -> Iterator[str]:
        """Yield the lines of a header, unless it has a guard and was inserted before."""
        if header.name == PUBLIC_HEADER or header in self._included:
            return
        content = header.read_text(encoding="utf-8")
        guarded = GUARD.search(content)
        if guarded:
            self._included.add(header)
            content = content[: guarded.start()] + guarded[2]
        yield from self._lines(header.parent, content)

    def _private(self, line: str) -> str:
        function = FUNCTION.match(line)
        if function and function[1] not in self._public:
            return f"static {line}"
        return VARIABLE.sub("static ", line)


def _settings(content: str) -> str:
    """Return the conditional block with which a source begins, before its first ``#include``."""
    found = re.match(r"(?:/\*[^\n]*\*/\n)?#if[^\n]*\n(?:#define[^\n]*\n)+#endif\n", content)
    return found[0] if found else ""
