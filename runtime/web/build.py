"""Build the WebAssembly modules of the npm package, JavaScript modules that contain them, and a page.

``textgen.wasm`` generates and ``trainer.wasm`` learns, in every engine with SIMD. ``textgen-relaxed.wasm``
and ``trainer-relaxed.wasm`` have the fused multiply-adds of relaxed SIMD. ``learner.js`` contains the modules
that learn, and ``textgen.html`` is the page that learns and writes. The same sources and the same versions of
ziglang, binaryen and esbuild give the same bytes on every machine.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import zlib
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

WEB = Path(__file__).resolve().parent
CORE = WEB.parent / "core"
TRAINER = WEB.parent.parent / "train/core"
PAGE = WEB / "page"
OBJECTS = WEB.parent.parent / "build/web"
TOOLS = WEB.parent.parent / "tests/web/node_modules/.bin"

TARGET = ["-target", "wasm32-wasi", "-mcpu=baseline+simd128+bulk_memory+sign_ext+nontrapping_fptoint"]

# The files that may use relaxed SIMD, and their flags. Exact arithmetic must not use it, and optimization at
# link time would permit its instructions in the whole module.
RELAXED = ("kernels.c", "learn.c")
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
    f"-I{TRAINER}",
]

LINK = ["-flto", "-Oz", "-mexec-model=reactor", "-s", "-Wl,--gc-sections", "-Wl,-z,stack-size=131072"]
# The functions that JavaScript calls, and where the stack ends, which it resets after a trap.
CALL = re.compile(r'(?:\.call\??\.|attempt\(")(textgen_\w+)')
ALWAYS = ("malloc", "free", "__stack_pointer")

# The optimizer of binaryen, after that of clang. No page of the first KiB is used for data.
OPTIMIZE = ["-Oz", "--low-memory-unused", "--strip-producers", "--reorder-functions"]

# The features of TARGET in the words of binaryen. With all features, it writes tail calls, which Node 18 and
# Safari 18.1 do not have.
FEATURES = ["--mvp-features", *(f"--enable-{name}" for name in ("simd", "bulk-memory", "sign-ext"))]
FEATURES += ["--enable-nontrapping-float-to-int", "--enable-mutable-globals"]

# Files with functions that run for each token. In the others, the compiler does not inline functions, which
# makes the module smaller.
FREQUENT = (
    "exp.c",
    "forward.c",
    "generate.c",
    "kernels.c",
    "rng.c",
    "sampler.c",
    "text.c",
    "learn.c",
    "network.c",
)


def main() -> None:
    """Build the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="another folder for the files")
    output = parser.parse_args().output
    OBJECTS.mkdir(parents=True, exist_ok=True)
    # The bytes of the modules depend on the order. Functions that come first replace those of the C library.
    core = sorted([*CORE.glob("*.c"), *CORE.glob("kernels/*.c")])
    printing = WEB / "source/snprintf.c"
    files = {
        "textgen": [printing, WEB / "source/exports.c", *core],
        "trainer": [printing, WEB / "source/exports_trainer.c", *core, *sorted(TRAINER.glob("*.c"))],
    }
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        every = sorted({file for some in files.values() for file in some})
        plain = dict(zip(every, executor.map(compile_file, every), strict=True))
        relaxed = plain | {file: compile_file(file, relaxed=True) for file in every if file.name in RELAXED}
        modules = [
            (name, [objects[file] for file in some], objects is relaxed)
            for name, some in files.items()
            for objects in (plain, relaxed)
        ]
        list(executor.map(lambda module: write_module(output or WEB, *module), modules))
    write_learner(output or WEB)
    write_page((output or WEB.parent / "textgen_runtime/web") / "textgen.html")


def compile_file(source: Path, *, relaxed: bool = False) -> str:
    """Compile a C file; return the path of the object."""
    path = str(OBJECTS / f"{source.stem}{'-relaxed' if relaxed else ''}.o")
    inlining = [] if source.name in FREQUENT else ["-fno-inline"]
    zig(*TARGET, *FLAGS, *inlining, *(RELAXED_FLAGS if relaxed else []), "-c", str(source), "-o", path)
    return path


def write_module(folder: Path, name: str, paths: list[str], is_relaxed: bool) -> None:
    """Link objects to a module, and optimize it. A JavaScript module contains the module that generates."""
    suffix = "-relaxed" if is_relaxed else ""
    linked, module = OBJECTS / f"{name}{suffix}-linked.wasm", folder / f"{name}{suffix}.wasm"
    # trainer.js calls functions of the module that learns, and instance.js those of both.
    called = {
        call
        for path in WEB.glob("lib/*.js")
        if (path.name == "trainer.js") == (name == "trainer")
        for call in CALL.findall(path.read_text("utf-8"))
    }
    exports = [f"-Wl,--export={call}" for call in (*sorted(called), *ALWAYS)]
    zig(*TARGET, *LINK, *exports, *paths, "-o", str(linked))
    features = [*FEATURES, *["--enable-relaxed-simd"] * is_relaxed]
    subprocess.run(
        [str(TOOLS / "wasm-opt"), *OPTIMIZE, *features, str(linked), "-o", str(module)], check=True
    )
    if name == "textgen":
        content = b64encode(module.read_bytes()).decode()
        inlined = f'// {module.name}, as base64. `make web` writes this file.\nexport default "{content}";\n'
        (folder / f"wasm{suffix}.js").write_text(inlined, "ascii")


def bundled(path: Path, output: str) -> str:
    """Return a JavaScript or style file with all that it imports."""
    options = ["--bundle", "--minify", f"--format={output}", "--charset=utf8"]
    command = [str(TOOLS / "esbuild"), str(path), *options]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode().strip()


def write_learner(folder: Path) -> None:
    """Write a JavaScript module with the modules that learn, compressed, and the source of their workers."""
    modules = {
        name: b64encode(zlib.compress((folder / file).read_bytes(), 9)).decode()
        for name, file in (("plain", "trainer.wasm"), ("relaxed", "trainer-relaxed.wasm"))
    }
    worker = bundled(WEB / "lib/worker.js", "iife")
    content = "// `make web` writes this file.\n"
    content += (
        f"export const modules = {json.dumps(modules)};\nexport const learner = {json.dumps(worker)};\n"
    )
    (folder / "learner.js").write_text(content, "utf-8")


def write_page(path: Path) -> None:
    """Write the page with its style, and with one script that contains all modules."""
    style, script = bundled(PAGE / "style.css", "esm"), bundled(PAGE / "main.js", "esm")
    page = (PAGE / "index.html").read_text("utf-8")
    for element, content in (
        ('<link rel="stylesheet" href="style.css">', f"<style>{style}</style>"),
        ('<script type="module" src="main.js">', f'<script type="module">{script}'),
        ("content=\"default-src 'none'\"", f'content="{page_policy(script, style)}"'),
    ):
        before, after = page.split(element)
        page = before + content + after
    path.write_text(page, "utf-8")


def page_policy(script: str, style: str) -> str:
    """Return the policy of the page: it loads nothing from anywhere, and no other script can run.

    WebAssembly needs its own permission, and a worker is a blob that the page makes.
    """
    hashes = [b64encode(sha256(content.encode()).digest()).decode() for content in (script, style)]
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}' 'wasm-unsafe-eval'; worker-src blob:; "
        f"style-src 'sha256-{hashes[1]}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def zig(*arguments: str) -> None:
    """Run zig's C compiler, which is clang."""
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *arguments], check=True)


if __name__ == "__main__":
    main()
