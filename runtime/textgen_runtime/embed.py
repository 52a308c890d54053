"""Sources for programs in C: the core as one file, the amalgamation, and a model file as an array.

The amalgamation needs only the public headers. It may have the trainer, too.

Each header is inserted where it is first included. A header without an include guard is a template: it is
inserted at each ``#include``, because its macros differ. All functions but the public ones become static. The
sources keep their own names: if two of them use the same name within their file, macros rename it in the
second.

The array has elements of 8 bytes: compilers take a fraction of the time and of the memory that an array of
bytes needs, and it is aligned.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

# Of the core and of the trainer.
PUBLIC_HEADERS = ("textgen.h", "textgen_train.h")

# setup.py copies the sources of the core and of the trainer to this folder when it builds a wheel.
INSTALLED = Path(__file__).parent / "core_sources"
CLONE = Path(__file__).resolve().parents[2]

INCLUDE = re.compile(r'#include "([^"]+)"')
DEFINITIONS = re.compile(r'#include "(\w+\.def)"\n')
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


# Names of the project's own files and symbols begin with this word.
RESERVED_PREFIX = "textgen"
MAX_NAME_LENGTH = 60

# With the option -I, a compiler takes NAME.h for the header of the C library or the system. These are the
# headers of C, those that textgen.c includes, and common ones that system headers include.
SYSTEM_HEADERS = frozenset(
    """
    assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg
    stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar
    wchar wctype
    arm_neon cpuid fcntl immintrin intrin io process pthread sched shellapi unistd wasm_simd128 windows
    alloca endian features malloc memory strings
    """.split()  # noqa: SIM905 (a list literal has 50 lines)
)

WORD_BYTES = 8
WORDS_PER_LINE = 5

HEADER = """\
{mark}
/* {title}. To create the model:
 *
 *     #include "{name}.h"
 *     #include "textgen.h"
 *     int32_t code = textgen_model_create({name}_data, {name}_size, NULL, &model, &error);
 */
#ifndef {guard}
#define {guard}
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {{
#endif
extern const uint64_t {name}_data[]; /* the content of the model file */
extern const size_t {name}_size;     /* its size in bytes */
#ifdef __cplusplus
}}
#endif
#endif
"""

SOURCE = """\
{mark}
/* {title}. */
#include "{name}.h"
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "This array is for little-endian processors: read the model file instead"
#endif
const size_t {name}_size = {size};
const uint64_t {name}_data[] = {{
{lines}
}};
"""


def source_folders(*, trainer: bool = False) -> list[Path]:
    """Return the folders of the sources: that of the core, and that of the trainer."""
    if INSTALLED.is_dir():
        return [INSTALLED, INSTALLED / "train"][: 1 + trainer]
    return [CLONE / "runtime/core", CLONE / "train/core"][: 1 + trainer]


def amalgamate(folders: Sequence[Path]) -> dict[str, str]:
    """Return the public headers of folders, and all their sources as one file, by their names."""
    amalgamation = _Amalgamation(folders)
    return {**amalgamation.headers, "textgen.c": amalgamation.text()}


class _Amalgamation:
    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._included: set[Path] = set()
        self._local_names: set[str] = set()
        # Of the present source, and of the templates that it includes.
        self._macros: set[str] = set()
        self.headers = {
            name: _header(folder / name) for folder, name in zip(folders, PUBLIC_HEADERS, strict=False)
        }
        self._public = {name for header in self.headers.values() for name in PUBLIC.findall(header)}

    def text(self) -> str:
        patterns = ("*.c", "kernels/*.c")
        sources = [
            source
            for folder in self._folders
            for source in sorted(path for pattern in patterns for path in folder.glob(pattern))
        ]
        contents = {source: source.read_text(encoding="utf-8") for source in sources}
        # Macros that select what the system's headers declare must come before the first of them.
        settings = [_settings(content) for content in contents.values()]
        # This header has settings of the compiler, which must be the same for all functions.
        exact = self._insert(self._folders[0] / "exact.h")
        includes = "".join(f'#include "{name}"\n' for name in self.headers)
        parts = [*filter(None, settings), includes, PRIVATE, *exact]
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
        self._macros = {*repeated, *MACRO.findall(code)}
        yield f"/* {path.name} */\n"
        body = "\n".join(self._lines(path.parent, content))
        yield "".join(f"#define {name} {path.stem}_{name}\n" for name in repeated)
        yield f"{body}\n"
        yield "".join(f"#undef {name}\n" for name in sorted(self._macros))

    def _lines(self, folder: Path, content: str) -> Iterator[str]:
        for line in content.splitlines():
            included = INCLUDE.match(line)
            if included:
                places = (place / included[1] for place in (folder, *self._folders))
                yield from self._insert(next(place for place in places if place.is_file()).resolve())
            else:
                yield self._private(line)

    def _insert(self, header: Path) -> Iterator[str]:
        """Yield the lines of a header, unless it has a guard and was inserted before."""
        if header.name in self.headers or header in self._included:
            return
        content = header.read_text(encoding="utf-8")
        guarded = GUARD.search(content)
        if guarded:
            self._included.add(header)
            content = content[: guarded.start()] + guarded[2]
        else:
            self._macros |= {*MACRO.findall(content)}
        yield from self._lines(header.parent, content)

    def _private(self, line: str) -> str:
        function = FUNCTION.match(line)
        if function and function[1] not in self._public:
            return f"static {line}"
        return VARIABLE.sub("static ", line)


def _header(path: Path) -> str:
    """Return a public header, with the definitions that it includes."""
    content = path.read_text(encoding="utf-8")
    return DEFINITIONS.sub(lambda found: (path.parent / found[1]).read_text(encoding="utf-8"), content)


def _settings(content: str) -> str:
    """Return the conditional block with which a source begins, before its first ``#include``."""
    found = re.match(r"(?:/\*[^\n]*\*/\n)?#if[^\n]*\n(?:#define[^\n]*\n)+#endif\n", content)
    return found[0] if found else ""


def is_array_name(name: str) -> bool:
    """Return whether files and C symbols can have this name, and differ from those of the core and of C."""
    # Some file systems do not distinguish capital letters.
    lower = name.lower()
    if lower.startswith(RESERVED_PREFIX) or lower in SYSTEM_HEADERS or len(name) > MAX_NAME_LENGTH:
        return False
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is not None


def array_header(name: str, title: str, mark: str) -> str:
    """Return the header that declares the array.

    Args:
        name: The beginning of the symbols, for which ``is_array_name`` is true.
        title: What the array contains, for the comment at the beginning.
        mark: The first line.
    """
    guard = f"{name.upper()}_MODEL_H"
    return HEADER.format(mark=mark, title=title, name=name, guard=guard)


def array_source(name: str, title: str, mark: str, content: bytes) -> str:
    """Return the source that defines the array. Arguments are those of ``array_header`` and the content."""
    padded = content + bytes(-len(content) % WORD_BYTES)
    words = [f"0x{word:x}" for (word,) in struct.iter_unpack("<Q", padded)]
    rows = [", ".join(words[i : i + WORDS_PER_LINE]) for i in range(0, len(words), WORDS_PER_LINE)]
    lines = ",\n".join(rows)
    return SOURCE.format(mark=mark, title=title, name=name, size=len(content), lines=lines)
