"""Bundling of ES modules into one script."""

import re

import pytest
from textgen_runtime.web.bundle import BundleError, bundle
from textgen_runtime.web.page import page_modules


def names_of(script: str) -> list[str]:
    """The paths of the modules in a bundle, in order."""
    return re.findall(r"^// (.*\.js)$", script, re.MULTILINE)


def test_a_module_comes_after_all_that_it_imports() -> None:
    modules = {
        "page/main.js": 'import { a } from "./a.js";\nimport { b } from "../other/b.js";\na(b);\n',
        "page/a.js": 'import { c } from "./c.js";\nexport function a() {}\n',
        "page/c.js": "export const c = 1;\n",
        "other/b.js": 'export { c as b } from "../page/c.js";\n',
        "page/unused.js": "export const unused = 1;\n",
    }
    assert names_of(bundle(modules, "page/main.js")) == [
        "page/c.js",
        "page/a.js",
        "other/b.js",
        "page/main.js",
    ]


def test_every_form_of_export_and_import_is_rewritten() -> None:
    modules = {
        "a.js": "export const one = 1;\nexport async function two() {}\nexport class Three {}\n"
        "const four = 4;\nexport { four, one as uno };\nexport default 5;\n",
        "b.js": 'import five from "./a.js";\nimport { one, two as second } from "./a.js";\n'
        'export { Three, four as vier } from "./a.js";\nfive(one, second);\n',
    }
    script = bundle(modules, "b.js")
    assert "return { four: four, uno: one, one: one, two: two, Three: Three, default: $default };" in script
    assert "const five = $module0.default;" in script
    assert "const { one: one, two: second } = $module0;" in script
    assert "return { Three: $module0.Three, vier: $module0.four };" in script
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({"a.js": 'import { b } from "./b.js";\n'}, "a.js imports b.js, which does not exist"),
        ({"b.js": ""}, "the bundle imports a.js, which does not exist"),
        (
            {"a.js": 'import { b } from "./b.js";\n', "b.js": 'import { a } from "./a.js";\n'},
            "a.js imports itself, through b.js",
        ),
        (
            {"a.js": 'import * as b from "./b.js";\n'},
            "a.js has a statement of a form that cannot be bundled: imp",
        ),
        ({"a.js": "export default function () {}\n"}, "a form that cannot be bundled: export default"),
    ],
)
def test_a_module_that_cannot_be_bundled_is_an_error(modules: dict[str, str], message: str) -> None:
    with pytest.raises(BundleError, match=re.escape(message)):
        bundle(modules, "a.js")


def test_no_module_of_the_page_is_unused() -> None:
    modules = page_modules()
    used = set(names_of(bundle(modules, "page/main.js")))
    # The other script is in the page of several files only.
    assert {name for name in modules if name.startswith("page/")} - used == {"page/from-disk.js"}


def test_the_modules_of_the_page_are_small() -> None:
    lengths = {
        name: len(text.splitlines()) for name, text in page_modules().items() if name.startswith("page/")
    }
    assert len(lengths) > 10
    assert {name: length for name, length in lengths.items() if length > 200} == {}
