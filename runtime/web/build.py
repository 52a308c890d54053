"""Build the WebAssembly modules of the npm package, JavaScript modules that contain them, and a page.

``textgen.wasm`` runs in every engine with SIMD. ``textgen-relaxed.wasm`` has the fused multiply-adds of
relaxed SIMD. ``page.html`` is the page of ``textgen-web``. The same sources and the same versions of ziglang,
binaryen and esbuild give the same bytes on every machine.
"""

import argparse
import base64
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WEB = Path(__file__).resolve().parent
CORE = WEB.parent / "core"
PAGE = WEB / "page"
OBJECTS = WEB.parent.parent / "build/web"
TOOLS = WEB.parent.parent / "tests/web/node_modules/.bin"

TARGET = ["-target", "wasm32-wasi", "-mcpu=baseline+simd128+bulk_memory+sign_ext+nontrapping_fptoint"]

# The file that may use relaxed SIMD, and its flags. Exact arithmetic must not use it, and optimization at
# link time would permit its instructions in the whole module.
RELAXED = "kernels.c"
RELAXED_FLAGS = ["-mrelaxed-simd", "-fno-lto"]

FLAGS = [
    "-std=c11",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-flto",
    "-Oz",
    "-DTEXTGEN_SMALL",
    "-DTEXTGEN_FAIL_ENDS",
    f"-I{CORE}",
    f"-I{WEB / 'source'}",
]

LINK = ["-flto", "-Oz", "-mexec-model=reactor", "-s", "-Wl,--gc-sections", "-Wl,-z,stack-size=131072"]
# The functions that JavaScript calls, and where the stack ends, which it resets after a trap.
CALL = re.compile(r'(?:\.call\??\.|attempt\(")(textgen_\w+)')
CALLED = {name for path in WEB.glob("lib/*.js") for name in CALL.findall(path.read_text("utf-8"))}
LINK += [f"-Wl,--export={name}" for name in (*sorted(CALLED), "malloc", "free", "__stack_pointer")]

# The optimizer of binaryen, after that of clang. No page of the first KiB is used for data.
OPTIMIZE = ["-Oz", "--low-memory-unused", "--strip-producers", "--reorder-functions"]

# The features of TARGET in the words of binaryen. With all features, it writes tail calls, which Node 18 and
# Safari 18.1 do not have.
FEATURES = ["--mvp-features", *(f"--enable-{name}" for name in ("simd", "bulk-memory", "sign-ext"))]
FEATURES += ["--enable-nontrapping-float-to-int", "--enable-mutable-globals"]

# Files with functions that run for each token. In the others, the compiler does not inline functions, which
# makes the module smaller.
FREQUENT = ("exp.c", "forward.c", "generate.c", "kernels.c", "rng.c", "sampler.c", "text.c")


def main() -> None:
    """Build the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="another folder for the files")
    output = parser.parse_args().output
    OBJECTS.mkdir(parents=True, exist_ok=True)
    # The bytes of the modules depend on the order.
    files = [*sorted(WEB.glob("source/*.c")), *sorted([*CORE.glob("*.c"), *CORE.glob("kernels/*.c")])]
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        plain = list(executor.map(compile_file, files))
        relaxed = [
            compile_file(file, relaxed=True) if file.name == RELAXED else path
            for file, path in zip(files, plain, strict=True)
        ]
        modules = [("", plain, FEATURES), ("-relaxed", relaxed, [*FEATURES, "--enable-relaxed-simd"])]
        list(executor.map(lambda module: write_module(output or WEB, *module), modules))
    write_page((output or WEB.parent / "textgen_runtime/web") / "page.html")


def compile_file(source: Path, *, relaxed: bool = False) -> str:
    """Compile a C file; return the path of the object."""
    path = str(OBJECTS / f"{source.stem}{'-relaxed' if relaxed else ''}.o")
    inlining = [] if source.name in FREQUENT else ["-fno-inline"]
    zig(*TARGET, *FLAGS, *inlining, *(RELAXED_FLAGS if relaxed else []), "-c", str(source), "-o", path)
    return path


def write_module(folder: Path, suffix: str, paths: list[str], features: list[str]) -> None:
    """Link objects to a module, optimize it, and write a JavaScript module that contains it."""
    linked, module = OBJECTS / f"linked{suffix}.wasm", folder / f"textgen{suffix}.wasm"
    zig(*TARGET, *LINK, *paths, "-o", str(linked))
    subprocess.run(
        [str(TOOLS / "wasm-opt"), *OPTIMIZE, *features, str(linked), "-o", str(module)], check=True
    )
    content = base64.b64encode(module.read_bytes()).decode()
    inlined = f'// {module.name}, as base64. `make web` writes this file.\nexport default "{content}";\n'
    (folder / f"wasm{suffix}.js").write_text(inlined, "ascii")


def write_page(path: Path) -> None:
    """Write the page with its style, and with one script that contains all modules."""

    def bundled(name: str) -> str:
        options = ["--bundle", "--minify", "--format=esm", "--charset=utf8"]
        command = [str(TOOLS / "esbuild"), str(PAGE / name), *options]
        return subprocess.run(command, check=True, capture_output=True).stdout.decode().strip()

    page = (PAGE / "index.html").read_text("utf-8")
    for element, content in (
        ('<link rel="stylesheet" href="style.css">', f"<style>{bundled('style.css')}</style>"),
        ('<script type="module" src="main.js">', f'<script type="module">{bundled("main.js")}'),
    ):
        before, after = page.split(element)
        page = before + content + after
    path.write_text(page, "utf-8")


def zig(*arguments: str) -> None:
    """Run zig's C compiler, which is clang."""
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *arguments], check=True)


if __name__ == "__main__":
    main()
