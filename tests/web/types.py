"""Types of the page: TypeScript checks its modules by the JSDoc types in them (``python -m tests.web.types``).

The elements are typed too: what each id of index.html names is read from there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.web.tools import NODE, installed

WEB = Path(__file__).parents[2] / "display_clients" / "web"
KINDS = {
    "a": "HTMLAnchorElement", "button": "HTMLButtonElement", "canvas": "HTMLCanvasElement",
    "details": "HTMLDetailsElement", "dialog": "HTMLDialogElement", "form": "HTMLFormElement",
    "input": "HTMLInputElement", "ol": "HTMLOListElement", "output": "HTMLOutputElement",
    "select": "HTMLSelectElement", "svg": "SVGSVGElement", "table": "HTMLTableElement",
    "template": "HTMLTemplateElement",
}  # fmt: skip
"""What a tag is in the document; any other is an HTMLElement."""
CHOICES = {
    "allowJs": True, "checkJs": True, "noEmit": True, "strict": True, "types": [],
    "target": "es2023", "module": "esnext", "moduleResolution": "bundler", "lib": ["es2023", "dom", "dom.iterable"],
    "noUnusedLocals": True, "noUnusedParameters": True, "noImplicitReturns": True, "noFallthroughCasesInSwitch": True,
    "noImplicitOverride": True, "allowUnreachableCode": False,
}  # fmt: skip


class _Ids(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = dict(attrs).get("id")
        if name:
            self.found[name] = KINDS.get(tag, "HTMLElement")


def elements(html: str) -> str:
    """What the ids of a page name, as a declaration in TypeScript."""
    ids = _Ids()
    ids.feed(html)
    rows = [f"  {json.dumps(name)}: {kind};" for name, kind in ids.found.items()]
    return "\n".join(["interface PageElements {", *rows, "}", ""])


def complaints(more: str = "") -> str:
    """What TypeScript finds in the page's modules, and in ``more``, one more of them; empty if nothing."""
    compiler = installed() / "typescript" / "bin" / "tsc"
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "page.d.ts").write_text(elements((WEB / "index.html").read_text()))
        (folder / "more.js").write_text(more)
        settings = folder / "tsconfig.json"
        files = [str(WEB / "*.js"), "page.d.ts", "more.js"]
        settings.write_text(json.dumps({"compilerOptions": CHOICES, "include": files}))
        command = [str(NODE), str(compiler), "--project", str(settings), "--pretty", "false"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode == 0:
        return ""
    return done.stdout + done.stderr or f"{compiler} ended with {done.returncode}"


if __name__ == "__main__":
    said = complaints()
    print(said or "The page's types hold.", end="" if said else "\n")
    sys.exit(bool(said))
