"""The page of ``textgen-web``, and its filter of known records."""

import base64
import hashlib
import re
import zlib
from html import escape, unescape

import pytest
from textgen_runtime.errors import CorpusError
from textgen_runtime.web.known_records import known_records
from textgen_runtime.web.page import write_page

MODEL = bytes(range(256)) * 20


def html_of(page: bytes) -> str:
    return page.decode()


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
    html = html_of(write_page(MODEL, title="a", prompt=""))
    assert zlib.decompress(base64.b64decode(content_of(html, 'script type="text/plain" id="model"'))) == MODEL


def test_a_page_without_a_model_differs_only_in_what_a_model_gives() -> None:
    place = re.compile(r'(?<=id="model">)[^<]*')
    assert place.sub("", html_of(write_page(MODEL))) == html_of(write_page())


def test_the_policy_permits_only_the_script_and_the_style_of_the_file() -> None:
    html = html_of(write_page(MODEL, title="a", prompt=""))
    assert policy_of(html) == {
        "default-src": ["'none'"],
        "script-src": [*map(hash_of, inline_scripts(html)), "'wasm-unsafe-eval'"],
        # A worker is a blob that the page makes.
        "worker-src": ["blob:"],
        "style-src": [hash_of(content_of(html, "style"))],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_the_file_contains_abcjs_and_permits_it() -> None:
    html = html_of(write_page(MODEL, title="a", prompt="", abcjs='const end = "</script>";'))
    abcjs, *others = inline_scripts(html)
    assert abcjs == 'const end = "<\\/script>";'
    assert set(policy_of(html)["script-src"]) == {*map(hash_of, [abcjs, *others]), "'wasm-unsafe-eval'"}
    # The styles of a score.
    assert policy_of(html)["style-src"] == ["'unsafe-inline'"]


def test_the_file_names_no_other_file_and_no_host() -> None:
    html = html_of(write_page(MODEL, title="a", prompt=""))
    targets = re.findall(r"(?:src|href)=\"([^\"]*)\"", html)
    assert [target for target in targets if not target.startswith("data:")] == []
    hosts = set(re.findall(r"https?://[^\s'\"]+", html))
    assert hosts == {"http://www.w3.org/2000/svg"}


def test_title_and_prompt_are_plain_text() -> None:
    title, prompt = "<b>&{{policy}}\"'", '\n</textarea><script>"{{title}}'
    html = html_of(write_page(MODEL, title=title, prompt=prompt))
    assert content_of(html, "title") == content_of(html, "h1") == escape(title)
    (field,) = re.findall(r"<textarea [^>]*>\n(.*?)</textarea>", html, re.DOTALL)
    assert unescape(field) == prompt


def test_a_half_of_a_surrogate_pair_in_the_prompt_does_not_prevent_the_page() -> None:
    assert html_of(write_page(MODEL, title="a", prompt="b\udc80c")).count("b?c") == 1


def test_the_same_model_gives_the_same_file() -> None:
    assert write_page(MODEL, title="a", prompt="b") == write_page(MODEL, title="a", prompt="b")


RECORDS = [f"record {number}, \u00e9\U0001d11e" for number in range(3000)]


@pytest.mark.parametrize("count", [1, 2, 3000])
def test_all_records_are_known_and_fewer_than_one_in_a_hundred_others(count: int) -> None:
    found = re.fullmatch(
        r'<script type="text/plain" id="known" data-count="(\d+)" data-hashes="7">(.*)</script>',
        known_records(RECORDS[:count]),
    )
    assert found
    bits = base64.b64decode(found[2])
    assert (int(found[1]), len(bits)) == (count, 10 * count // 8 + 1)

    def has(record: str) -> bool:
        first, step = (
            int.from_bytes(hashlib.sha256(record.encode()).digest()[i : i + 4], "little") for i in (0, 4)
        )
        places = ((first + i * (step | 1)) % (8 * len(bits)) for i in range(7))
        return all(bits[place // 8] >> place % 8 & 1 for place in places)

    assert all(map(has, RECORDS[:count]))
    assert sum(has(f"other {number}") for number in range(10_000)) < (100 if count == 3000 else 500)


def test_a_corpus_without_records_is_refused() -> None:
    with pytest.raises(CorpusError):
        known_records([])
