"""The page's pure modules, tested by Node's own runner; and what Python can say of the files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.web import golden, types
from tests.web.server import WEB
from tests.web.tools import NODE

HERE = Path(__file__).parent
PURE = (
    "camera", "chunks", "clock", "colour", "courses", "dataset", "fields", "following", "format", "fragment", "frames",
    "life", "lines", "listing", "look", "meter", "objects", "pace", "people", "placement", "questions", "reconnect",
    "request", "shots", "transfer", "video", "wire", "words",
)  # fmt: skip


def test_node_finds_the_pure_modules_right() -> None:
    files = sorted(map(str, HERE.glob("js/*.test.js")))
    done = subprocess.run(
        [NODE, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "--test", "--test-reporter=tap", *files],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 30, "node ran fewer tests than there are"


def test_types_hold_in_all_modules_of_the_page() -> None:
    assert types.complaints() == ""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('at("no-such-thing");', "not assignable to parameter of type 'keyof PageElements'"),
        ('at("picture").value = "";', "Property 'value' does not exist on type 'HTMLCanvasElement'"),
        ("/** @type {number} */ (1).trim();", "Property 'trim' does not exist on type 'number'"),
        ("export const half = (n) => n / 2;", "implicitly has an 'any' type"),
    ],
)
def test_a_wrong_type_is_found(line: str, complaint: str) -> None:
    here = f'import {{ at }} from "{WEB}/page.js";\nexport {{ at }};\n'
    assert complaint in types.complaints(here + line)


def test_the_lock_of_the_page_tools_names_no_registry() -> None:
    for path in (HERE / "tools").glob("*.json"):
        assert "//" not in path.read_text(), f"{path.name} holds an address"


def test_the_golden_file_is_what_python_writes_today() -> None:
    assert golden.FILE.read_text(encoding="utf-8") == golden.text(), (
        "run python -m tests.web.golden and look at the difference"
    )


def test_pure_modules_touch_neither_document_nor_network() -> None:
    for name in PURE:
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", (WEB / f"{name}.js").read_text(), flags=re.DOTALL)
        found = re.search(
            r"(?<!\.)\b(document|window\.\w|fetch|WebSocket|EventSource|setTimeout|performance|Date\.now|Math\.random)\b",
            code,
        )
        assert not found, f"{name}.js uses {found[0]}"
        for imported in re.findall(r'from "\./(\w+)\.js"', code):
            assert imported in PURE, f"{name}.js imports {imported}.js, which is not pure"


def test_the_page_is_light_and_fetches_nothing_from_elsewhere() -> None:
    files = [path for path in WEB.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 400_000
    for path in files:
        text = path.read_text()
        for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", text):
            assert "www.w3.org/2000/svg" in address, f"{path.name} names {address}"


def test_nothing_in_the_page_needs_an_exception_from_the_content_policy() -> None:
    html = (WEB / "index.html").read_text()
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"setAttribute\(\"style\"|innerHTML|eval\(", "".join(p.read_text() for p in WEB.glob("*.js")))


def test_no_two_things_have_the_same_id_and_the_code_names_only_those_there_are() -> None:
    ids = re.findall(r'\sid="([^"]+)"', (WEB / "index.html").read_text())
    assert sorted(ids) == sorted(set(ids))
    for path in WEB.glob("*.js"):
        code = path.read_text()
        named = re.findall(r'\bgetElementById\("([\w-]+)"\)', code)
        if 'import { at } from "./page.js"' in code:
            named += re.findall(r'(?<![.\w])at\("([\w-]+)"\)', code)
        assert set(named) <= set(ids), f"{path.name} names {sorted(set(named) - set(ids))}"


def test_every_button_and_picture_has_a_name() -> None:
    html = (WEB / "index.html").read_text()
    for button, inside in re.findall(r"<button([^>]*)>(.*?)</button>", html, re.DOTALL):
        words = re.sub(r"<svg.*?</svg>|<[^>]+>", "", inside, flags=re.DOTALL).strip()
        assert words or "aria-label=" in button, f"a button without a name: {button}"
    for picture in re.findall(r"<img([^>]*)>", html):
        assert "alt=" in picture
