"""A model file as a C array.

The array has elements of 8 bytes: compilers take a fraction of the time and of the memory that an array of
bytes needs, and it is aligned.
"""

import re
import struct

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
    arm_neon cpuid fcntl immintrin intrin io shellapi unistd wasm_simd128 windows
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
 *     int32_t code = textgen_model_create({name}_data, {name}_size, NULL, &model, error, sizeof error);
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
