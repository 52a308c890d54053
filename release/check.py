"""Do what a release does, except for the upload: see CONTRIBUTING.md."""

import gzip
import json
import os
import re
import shutil
import sys
import tarfile
from pathlib import Path

from release.audit import LENGTH, PROMPT, ROOT, SEED, empty_folder, generated_text, run

NODE_TRIAL = """
import { load } from "textgen-onnx";
const model = await load(process.argv[2]);
const [prompt, length, seed] = process.argv.slice(3);
console.log(model.generate(prompt, { length: Number(length), seed: Number(seed) }));
"""


# The newest section of the changelog is that of the version, with or without a date.
VERSIONS = {
    "runtime/textgen_runtime/_version.py": r'^__version__ = "(.+)"$',
    "runtime/core/textgen.h": r"^#define TEXTGEN_VERSION (\d+)",
    "runtime/web/package.json": r'^  "version": "(.+)",$',
    "CHANGELOG.md": r"^## (\S+)",
}


def read_versions() -> dict[str, str]:
    """Return the version that each file states, by the path of the file. "" stands for none."""
    versions = {}
    for path, pattern in VERSIONS.items():
        found = re.search(pattern, (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        versions[path] = found[1] if found else ""
    number = int(versions["runtime/core/textgen.h"])
    versions["runtime/core/textgen.h"] = f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return versions


def normalize(sdist: Path, time: int) -> None:
    """Write an sdist again with one time and owner for all files, so that equal files make equal bytes."""
    with tarfile.open(sdist) as archive:
        members = [
            (member, archive.extractfile(member) if member.isfile() else None)
            for member in archive.getmembers()
        ]
        copy = sdist.with_suffix(".new")
        with (
            copy.open("wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=time) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as normalized,
        ):
            for member, content in sorted(members, key=lambda pair: pair[0].name):
                member.mtime, member.pax_headers = time, {}
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
                normalized.addfile(member, content)
    copy.replace(sdist)


def build(folder: Path, time: int) -> dict[str, bytes]:
    """Build an sdist, and a wheel from it for this machine. Return their contents by name."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(time)}
    command = (sys.executable, "-m", "build", "--no-isolation", "--outdir", folder)
    run(*command, "--sdist", ROOT, environment=environment)
    (sdist,) = folder.glob("*.tar.gz")
    normalize(sdist, time)
    unpacked = folder / "unpacked"
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (top,) = unpacked.iterdir()
    run(*command, "--wheel", top, environment=environment)
    shutil.rmtree(unpacked)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def list_packages(python: Path, output: Path) -> None:
    """Write the list of all packages of an environment as an SBOM."""
    options = ("--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--output-file", output)
    run(sys.executable, "-m", "cyclonedx_py", "environment", *options, python)
    names = {component["name"] for component in json.loads(output.read_text("utf-8"))["components"]}
    if not {"numpy", "onnxruntime"} <= names:
        sys.exit(f"{output} lacks dependencies: it has {', '.join(sorted(names))}")


def try_npm_package(folder: Path, output: Path, expected: str) -> Path:
    """Pack the JavaScript package, install it, and check that it generates the same text as the wheel."""
    run("npm", "pack", ROOT / "runtime" / "web", "--ignore-scripts", "--pack-destination", output)
    (package,) = output.glob("*.tgz")
    options = ("--offline", "--ignore-scripts", "--no-audit", "--no-fund")
    run("npm", "install", "--prefix", folder, *options, package)
    (folder / "trial.mjs").write_text(NODE_TRIAL, encoding="utf-8")
    model = ROOT / "runtime" / "textgen_runtime" / "bundled_models" / "nietzsche.onnx"
    text = run("node", folder / "trial.mjs", model, PROMPT, str(LENGTH), str(SEED))
    if text != expected:
        sys.exit(f"{package.name} generates {text!r}, and the wheel {expected!r}")
    return package


def main() -> None:
    """Check the versions, write what is uploaded to build/release, and print what was done."""
    output, work = empty_folder("release"), empty_folder("release-work")
    versions = read_versions()
    if len(set(versions.values())) != 1:
        sys.exit(f"the versions differ: {versions}")
    version = versions["CHANGELOG.md"]
    print("version", version)
    time = int(run("git", "-C", ROOT, "log", "-1", "--format=%ct"))
    for folder in (work / "first", work / "second"):
        folder.mkdir()
    first, second = build(work / "first", time), build(work / "second", time)
    if first != second:
        sys.exit(f"two builds differ: compare {work}/first and {work}/second")
    print("built twice, with the same bytes:", ", ".join(first))
    (sdist,) = (work / "first").glob("*.tar.gz")
    shutil.copy(sdist, output)
    run(sys.executable, "-m", "twine", "check", "--strict", output / sdist.name)
    (wheel,) = (work / "first").glob("*.whl")
    text = generated_text(wheel, work / "environment")
    list_packages(work / "environment" / "bin" / "python", output / "sbom.json")
    print("installed with its dependencies, listed in sbom.json:", wheel.name)
    print("packed, installed and tried:", try_npm_package(work / "npm", output, text).name)
    shutil.copy(ROOT / "runtime" / "textgen_runtime" / "web" / "textgen.html", output)
    (output / "version").write_text(version, encoding="ascii")


if __name__ == "__main__":
    main()
