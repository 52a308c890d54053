"""Generate the pictures of the documentation.

    make images

It writes terminal.svg and temperature.svg, and the screenshots surprise, page, tune and list, each as
-light.png and -dark.png. They show real output. The commands run again each time, so the text follows the
bundled model and the speed follows the machine. For list, the commands of the tutorial run, which train for
two minutes. Only the screenshots need a browser: Chromium, found on PATH or named by the environment
variable CHROMIUM. If there is none, the script writes the other pictures and exits with an error.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from html import escape
from itertools import chain
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
COMMANDS = Path(sys.executable).parent

# Each command of the session, and the file that the shell sends its standard output to.
SESSION = (
    ("textgen-run nietzsche --temp 0.5 --seed 4", ""),
    ("textgen-run nietzsche --length 1000000 --seed 4 --stats", "text.txt"),
)


COLUMNS = 92
FONT_SIZE, LINE_HEIGHT, CHARACTER_WIDTH = 14, 21, 8.4
MARGIN, TITLE_BAR = 22, 34

SURPRISE_TEXT = "umbrella.txt"
# The pictures show the page with the pointer on the first letter of this text.
POINTED_AT = "phone"
# Width and height of the browser window, in CSS pixels, and device pixels per CSS pixel.
WINDOW, SCALE = (800, 480), 2
# The text on the page of textgen-web, and its window as above.
PAGE_TEXT = "#prompt=the+will+to+&seed=7&temperature=0.8&length=400"
PAGE_WINDOW, PAGE_SCALE = (1060, 700), 1.25
# The tune of the README on the page of the bundled model, and the script that draws its score.
TUNE = "#prompt=&seed=110&temperature=0.5&length=400"
ABCJS = HERE.parents[1] / "tests/web/node_modules/abcjs/dist/abcjs-basic-min.js"
TUNE_WINDOW, TUNE_SCALE = (1060, 1090), 1.25
# A list of names on the page of the tutorial, which a press of a button writes. The page writes in frames, of
# which Chromium's virtual time has few, so they become timers.
LIST_PAGE = Path("emoji-site", "index.html")
LIST_WINDOW, LIST_SCALE = (1060, 1180), 1.25
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

STYLE = """
  .window { fill: #fbfaf8; stroke: #d5d0c9; }
  .bar { fill: #eeebe6; }
  .button { fill: #cfc9c1; }
  text {
    fill: #24211e;
    font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  }
  .title { fill: #7a736b; font-size: 12px; text-anchor: middle; }
  .prompt { fill: #b3470a; }
  .command { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    .window { fill: #17181b; stroke: #3a3c42; }
    .bar { fill: #24262b; }
    .button { fill: #4a4d54; }
    text { fill: #e3e0dc; }
    .title { fill: #a09a93; }
    .prompt { fill: #ff8a4c; }
  }
"""


def output(command: str) -> tuple[str, str]:
    """Run a command of the project and return its standard output and standard error."""
    name, *arguments = shlex.split(command)
    done = subprocess.run(
        [COMMANDS / name, *arguments], cwd=HERE, capture_output=True, check=True, encoding="utf-8"
    )
    return done.stdout, done.stderr


def wrapped(text: str) -> list[str]:
    """Break lines between words at COLUMNS characters."""
    lines = (textwrap.wrap(line, COLUMNS, break_on_hyphens=False) or [""] for line in text.splitlines())
    return list(chain.from_iterable(lines))


def terminal() -> str:
    """Run the session and return it as an SVG."""
    lines: list[tuple[str, bool]] = []
    for command, target in SESSION:
        written, diagnostics = output(command)
        lines.append((f"{command} > {target}" if target else command, True))
        lines += [(line, False) for line in wrapped(diagnostics if target else written)]
        lines.append(("", False))
    lines.pop()
    width = 2 * MARGIN + round(COLUMNS * CHARACTER_WIDTH)
    height = TITLE_BAR + 2 * MARGIN + len(lines) * LINE_HEIGHT - LINE_HEIGHT // 2
    size = f'width="{width}" height="{height}"'
    bar = f"M1 {TITLE_BAR}V9.5a8.5 8.5 0 0 1 8.5-8.5H{width - 9.5}a8.5 8.5 0 0 1 8.5 8.5V{TITLE_BAR}z"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} role="img">',
        "<title>A terminal session with textgen-run</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="window" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="9"/>',
        f'<path class="bar" d="{bar}"/>',
        *(f'<circle class="button" cx="{20 + 18 * i}" cy="17.5" r="5.5"/>' for i in range(3)),
        f'<text class="title" x="{width / 2}" y="22">textgen-onnx</text>',
    ]
    for number, (line, is_command) in enumerate(lines):
        if not line:
            continue
        y = TITLE_BAR + MARGIN + FONT_SIZE - 3 + number * LINE_HEIGHT
        # The stated length keeps the columns aligned in any monospaced font.
        columns = len(line) + 2 * is_command
        marked = (
            f'<tspan class="prompt">$ </tspan><tspan class="command">{escape(line, quote=False)}</tspan>'
            if is_command
            else escape(line, quote=False)
        )
        parts.append(
            f'<text x="{MARGIN}" y="{y}" textLength="{columns * CHARACTER_WIDTH:.1f}" '
            f'lengthAdjust="spacingAndGlyphs" xml:space="preserve">{marked}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def screenshots(browser: str) -> None:
    """Write a picture of the surprise page for each color scheme."""
    text = (HERE / SURPRISE_TEXT).read_text(encoding="utf-8")
    # The first character of a text is not predicted and has no element.
    pointed_at = text.index(POINTED_AT) - 1
    script = (
        f'<script>const mark = document.querySelectorAll(".text i")[{pointed_at}];'
        'mark.style.outline = "1px solid var(--ink)";'
        'mark.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));</script>'
    )
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        output(f"textgen-eval nietzsche {SURPRISE_TEXT} --surprise {shlex.quote(str(page))}")
        page.write_text(page.read_text(encoding="utf-8") + script, encoding="utf-8")
        photograph(browser, page.as_uri(), WINDOW, "surprise")


def page_screenshots(browser: str) -> None:
    """Write a picture of the page of textgen-web for each color scheme."""
    with tempfile.TemporaryDirectory() as folder:
        output(f"textgen-web nietzsche --output {shlex.quote(folder)} --title Nietzsche")
        photograph(browser, Path(folder, "index.html").as_uri() + PAGE_TEXT, PAGE_WINDOW, "page", PAGE_SCALE)


def tune_screenshots(browser: str) -> None:
    """Write a picture of a tune with its score for each color scheme."""
    with tempfile.TemporaryDirectory() as folder:
        paths = (shlex.quote(str(path)) for path in (ABCJS, folder))
        output("textgen-web tunes --title Tunes --abcjs {} --output {}".format(*paths))
        photograph(browser, Path(folder, "index.html").as_uri() + TUNE, TUNE_WINDOW, "tune", TUNE_SCALE)


def list_screenshots(browser: str) -> None:
    """Follow the tutorial, and write a picture of its page with a list of names for each color scheme."""
    tutorial = (HERE.parent / "tutorial.md").read_text(encoding="utf-8")
    commands = "".join(re.findall(r"^```sh\n(.*?)^```$", tutorial, re.MULTILINE | re.DOTALL))
    path = os.pathsep.join([str(COMMANDS), os.environ["PATH"]])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["sh", "-e", "-c", commands],  # noqa: S607
            cwd=folder,
            env=os.environ | {"PATH": path},
            check=True,
            capture_output=True,
        )
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
    (HERE / "terminal.svg").write_text(terminal(), encoding="utf-8")
    example = HERE.parents[1] / "examples" / "temperatures.py"
    subprocess.run(
        [sys.executable, example, "nietzsche", "the will to ", HERE / "temperature.svg"], check=True
    )
    browser = next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *BROWSERS))), None)
    if browser is None:
        sys.exit("make_images: no Chromium on PATH: install it, or set CHROMIUM to its path")
    screenshots(browser)
    page_screenshots(browser)
    tune_screenshots(browser)
    list_screenshots(browser)


if __name__ == "__main__":
    main()
