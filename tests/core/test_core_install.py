"""``make install`` of the C core: the libraries, the header and textgen.pc, as a program in C finds them."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from textgen_runtime._version import __version__
from textgen_runtime.model_file import find_model_file

from tests.core.conftest import PROMPT, Installed
from tests.helpers.c_programs import run
from tests.helpers.core_install import make, needs_make
from tests.helpers.paths import ROOT

SHIPPED = find_model_file("nietzsche")

pytestmark = needs_make


@pytest.fixture
def prefix(installed: Installed) -> Path:
    """A folder in which the core is installed."""
    return installed.prefix


def pkg_config(prefix: Path, *options: str) -> list[str]:
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed")
    environment = os.environ | {"PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    done = subprocess.run(
        ["pkg-config", *options, "textgen"],
        env=environment,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    return shlex.split(done.stdout)


@pytest.mark.parametrize("library", ["libtextgen.so.0", "libtextgen.a"])
def test_a_program_uses_a_library(prefix: Path, tmp_path: Path, bundled_text: str, library: str) -> None:
    assert pkg_config(prefix, "--modversion") == [__version__]
    program, is_shared = tmp_path / "generate", library != "libtextgen.a"
    flags = pkg_config(prefix, "--cflags", *["--libs"] * is_shared)
    flags.append(f"-Wl,-rpath,{prefix}/lib" if is_shared else f"{prefix}/lib/{library}")
    run("cc", ROOT / "examples" / "generate.c", *flags, "-o", program)
    assert (f"{library} => " in run("ldd", program)) == is_shared
    assert run(program, SHIPPED, PROMPT, "0.5", "7", "60") == f"{PROMPT}{bundled_text}\n"


def test_files_are_staged_for_a_package(installed: Installed, tmp_path: Path) -> None:
    make("install", f"BUILD={installed.build}", f"DESTDIR={tmp_path}", "PREFIX=/usr", "LIBDIR=/usr/lib64")
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if not path.is_dir()}
    library = f"usr/lib64/libtextgen.so.{__version__}"
    links = {"usr/lib64/libtextgen.so", "usr/lib64/libtextgen.so.0"}
    others = {
        "usr/bin/textgen",
        *(f"usr/include/textgen{name}" for name in (".h", "_train.h", "_options.def")),
        "usr/lib64/libtextgen.a",
        "usr/lib64/pkgconfig/textgen.pc",
    }
    assert files == {library, *links, *others}
    assert all((tmp_path / link).resolve() == tmp_path / library for link in links)
    settings = (tmp_path / "usr/lib64/pkgconfig/textgen.pc").read_text(encoding="utf-8")
    assert settings.startswith("prefix=/usr\n")
    assert "libdir=/usr/lib64\n" in settings
