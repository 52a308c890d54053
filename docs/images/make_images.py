"""Generate the pictures of the documentation.

    python docs/images/make_images.py

It writes the screenshots surprise, page, tune and list, each as -light.png and -dark.png. They show real
output. For list, the commands of the tutorial run, which train for two minutes. The browser is Chromium,
found on PATH or named by the environment variable CHROMIUM.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
COMMANDS = Path(sys.executable).parent

SURPRISE_TEXT = "umbrella.txt"
# The pictures show the page with the pointer on the first letter of this text.
POINTED_AT = "phone"
# Width and height of the browser window, in CSS pixels, and device pixels per CSS pixel.
WINDOW, SCALE = (800, 480), 2
# The text on the page of textgen-web, and its window as above.
PAGE_TEXT = "#prompt=the+will+to+&seed=7&temperature=0.8&length=400"
PAGE_WINDOW, PAGE_SCALE = (1060, 690), 1.25
# The tune of the README on the page of the bundled model, and the script that draws its score.
TUNE = "#prompt=&seed=110&temperature=0.5&length=400"
ABCJS = HERE.parents[1] / "tests/web/node_modules/abcjs/dist/abcjs-basic-min.js"
TUNE_WINDOW, TUNE_SCALE = (1060, 1090), 1.25
# A list of names on the page of the tutorial, which a press of a button writes. The page writes in frames, of
# which Chromium's virtual time has few, so they become timers.
LIST_PAGE = Path("emoji-site", "index.html")
LIST_WINDOW, LIST_SCALE = (1060, 1280), 1.25
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
FRAMES = """<script>
window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 16);
window.cancelAnimationFrame = clearTimeout;
</script>"""
# Both color schemes show the same names.
SEEDS = """<script>
let seed = 0;
crypto.getRandomValues = (array) => array.fill(seed++);
</script>"""
PRESS = """<script>
const button = document.querySelector("#list");
const waiting = setInterval(() => {
  if (!button.hidden && !button.disabled) {
    clearInterval(waiting);
    button.click();
  }
}, 50);
</script>"""
# Chromium's numbers for prefers-color-scheme.
SCHEMES = {"dark": 0, "light": 1}
# A page of two colors and their shades; a palette makes the files half as large.
PALETTE_COLORS = 96
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def run(command: str) -> None:
    """Run a command of the project in this folder."""
    name, *arguments = shlex.split(command)
    subprocess.run([COMMANDS / name, *arguments], cwd=HERE, capture_output=True, check=True)


def screenshots(browser: str, folder: str) -> None:
    """Write the pictures of the surprise page, of the page of textgen-web, and of a tune with its score."""
    text = (HERE / SURPRISE_TEXT).read_text(encoding="utf-8")
    # The first character of a text is not predicted and has no element.
    pointed_at = text.index(POINTED_AT) - 1
    script = (
        f'<script>const mark = document.querySelectorAll(".text i")[{pointed_at}];'
        'mark.style.outline = "1px solid var(--ink)";'
        'mark.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));</script>'
    )
    page = Path(folder, "surprise.html")
    run(f"textgen-eval nietzsche {SURPRISE_TEXT} --surprise {page}")
    page.write_text(page.read_text(encoding="utf-8") + script, encoding="utf-8")
    photograph(browser, page.as_uri(), WINDOW, "surprise")
    run(f"textgen-web nietzsche --output {folder}/page --title Nietzsche")
    page = Path(folder, "page/index.html")
    photograph(browser, page.as_uri() + PAGE_TEXT, PAGE_WINDOW, "page", PAGE_SCALE)
    run(f"textgen-web tunes --title Tunes --abcjs {ABCJS} --output {folder}/tune")
    page = Path(folder, "tune/index.html")
    photograph(browser, page.as_uri() + TUNE, TUNE_WINDOW, "tune", TUNE_SCALE)


def list_screenshots(browser: str, folder: str) -> None:
    """Follow the tutorial, and write the pictures of its page with a list of names."""
    tutorial = (HERE.parent / "tutorial.md").read_text(encoding="utf-8")
    commands = "".join(re.findall(r"^```sh\n(.*?)^```$", tutorial, re.MULTILINE | re.DOTALL))
    path = os.pathsep.join([str(COMMANDS), os.environ["PATH"]])
    environment = os.environ | {"PATH": path}
    subprocess.run(["sh", "-e", "-c", commands], cwd=folder, env=environment, check=True)  # noqa: S607
    page = folder / LIST_PAGE
    changed, found = POLICY.subn(FRAMES + SEEDS, page.read_text(encoding="utf-8"))
    if found != 1:
        sys.exit(f"make_images: {LIST_PAGE} has {found} tags that match {POLICY.pattern}, not 1")
    page.write_text(changed + PRESS, encoding="utf-8")
    photograph(browser, page.as_uri(), LIST_WINDOW, "list", LIST_SCALE, milliseconds=100_000)


def photograph(
    browser: str,
    address: str,
    window: tuple[int, int],
    name: str,
    scale: float = SCALE,
    *,
    milliseconds: int = 10_000,
) -> None:
    """Write a picture of a page for each color scheme.

    Args:
        browser: The path of Chromium.
        address: The address of the page.
        window: Width and height in CSS pixels.
        name: The beginning of the names of the files.
        scale: Device pixels per CSS pixel.
        milliseconds: Virtual time for the scripts of the page.
    """
    with tempfile.TemporaryDirectory() as folder:
        for scheme, number in SCHEMES.items():
            shot = Path(folder, f"{scheme}.png")
            subprocess.run(
                [
                    browser,
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--hide-scrollbars",
                    f"--user-data-dir={folder}/profile",
                    f"--force-device-scale-factor={scale}",
                    f"--window-size={window[0]},{window[1]}",
                    f"--blink-settings=preferredColorScheme={number}",
                    f"--virtual-time-budget={milliseconds}",
                    f"--screenshot={shot}",
                    address,
                ],
                check=True,
                capture_output=True,
            )
            with Image.open(shot) as image:
                smaller = image.convert("RGB").quantize(PALETTE_COLORS, dither=Image.Dither.NONE)
                smaller.save(HERE / f"{name}-{scheme}.png", optimize=True)


def main() -> None:
    """Write all pictures into this folder."""
    browser = next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *BROWSERS))), None)
    if browser is None:
        sys.exit("make_images: no Chromium on PATH: install it, or set CHROMIUM to its path")
    with tempfile.TemporaryDirectory() as folder:
        screenshots(browser, folder)
        list_screenshots(browser, folder)


if __name__ == "__main__":
    main()
