"""The files of the page of ``textgen-web``."""

import base64
import hashlib
import re
import zlib
from html import escape, unescape

import pytest
from textgen_runtime.web.page import one_file, separate_files

MODEL = bytes(range(256)) * 20


def html_of(files: dict[str, bytes]) -> str:
    return files["index.html"].decode()


def policy_of(html: str) -> dict[str, list[str]]:
    """The values of each directive of the policy of a page."""
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert found
    return {name: values for name, *values in (part.split() for part in unescape(found[1]).split(";"))}


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def content_of(html: str, tag: str) -> str:
    """The content of the only element that begins with this tag."""
    name = tag.partition(" ")[0]
    (content,) = re.findall(rf"<{tag}>(.*?)</{name}>", html, re.DOTALL)
    assert isinstance(content, str)
    return content


def inline_scripts(html: str) -> list[str]:
    """The scripts of a page that are in it, as a browser finds them."""
    return re.findall(r'<script(?: type="module")?>(.*?)</script>', html, re.DOTALL)


def test_the_file_contains_the_model() -> None:
    html = html_of(one_file(MODEL, title="a", prompt=""))
    assert zlib.decompress(base64.b64decode(content_of(html, 'script type="text/plain" id="model"'))) == MODEL


def test_the_policy_permits_only_the_script_and_the_style_of_the_file() -> None:
    html = html_of(one_file(MODEL, title="a", prompt=""))
    assert policy_of(html) == {
        "default-src": ["'none'"],
        "script-src": [*map(hash_of, inline_scripts(html)), "'wasm-unsafe-eval'"],
        "style-src": [hash_of(content_of(html, "style"))],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_the_file_contains_abcjs_and_permits_it() -> None:
    html = html_of(one_file(MODEL, title="a", prompt="", abcjs='const end = "</script>";'))
    abcjs, *others = inline_scripts(html)
    assert abcjs == 'const end = "<\\/script>";'
    assert set(policy_of(html)["script-src"]) == {*map(hash_of, [abcjs, *others]), "'wasm-unsafe-eval'"}
    # The styles of a score.
    assert policy_of(html)["style-src"] == ["'unsafe-inline'"]


def test_the_folder_has_abcjs_as_a_file() -> None:
    files = separate_files(MODEL, title="a", prompt="", abcjs="const abcjs = 1;")
    assert list(files) == ["model.onnx", "page.js", "style.css", "abcjs.js", "index.html"]
    assert files["abcjs.js"] == b"const abcjs = 1;"
    html = html_of(files)
    assert html.index('<script src="abcjs.js">') < html.index('src="page.js"')
    assert policy_of(html)["style-src"] == ["'self'", "'unsafe-inline'"]


def test_the_file_names_no_other_file_and_no_host() -> None:
    html = html_of(one_file(MODEL, title="a", prompt=""))
    targets = re.findall(r"(?:src|href)=\"([^\"]*)\"", html)
    assert [target for target in targets if not target.startswith("data:")] == []
    hosts = set(re.findall(r"https?://[^\s'\"]+", html))
    assert hosts == {"http://www.w3.org/2000/svg"}


def test_the_folder_has_the_model_the_script_and_the_style_as_files() -> None:
    files = separate_files(MODEL, title="a", prompt="")
    assert list(files) == ["model.onnx", "page.js", "style.css", "index.html"]
    assert files["model.onnx"] == MODEL
    html = html_of(files)
    from_disk = hash_of(content_of(html, "script"))
    assert policy_of(html)["script-src"] == ["'self'", from_disk, "'wasm-unsafe-eval'"]
    assert policy_of(html)["connect-src"] == ["'self'"]
    named = re.findall(r"(?:src|href)=\"([^\":]*)\"", html)
    assert set(named) == set(files) - {"index.html"}
    whole = html_of(one_file(MODEL, title="a", prompt=""))
    assert content_of(whole, "style") == files["style.css"].decode()


@pytest.mark.parametrize("make", [one_file, separate_files])
def test_title_and_prompt_are_plain_text(make: type) -> None:
    title, prompt = "<b>&{{policy}}\"'", '\n</textarea><script>"{{title}}'
    html = html_of(make(MODEL, title=title, prompt=prompt))
    assert content_of(html, "title") == content_of(html, "h1") == escape(title)
    (field,) = re.findall(r"<textarea [^>]*>\n(.*?)</textarea>", html, re.DOTALL)
    assert unescape(field) == prompt


def test_a_half_of_a_surrogate_pair_in_the_prompt_does_not_prevent_the_page() -> None:
    assert html_of(one_file(MODEL, title="a", prompt="b\udc80c")).count("b?c") == 1


def test_the_same_model_gives_the_same_file() -> None:
    assert one_file(MODEL, title="a", prompt="b") == one_file(MODEL, title="a", prompt="b")
