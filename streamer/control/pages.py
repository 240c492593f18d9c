"""The pages: the viewer, which lies in the package ``display_clients``, and the API's description.

The description is made here from the OpenAPI document, as plain HTML: the usual pages load scripts
from elsewhere, and CaveCast must work where there is no elsewhere.
"""

from __future__ import annotations

import html
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

WEB_PACKAGE = "display_clients"


def web_folder() -> Path | None:
    """Where the viewer's files lie, or None if the package is not installed."""
    found = find_spec(WEB_PACKAGE)
    for place in (found.submodule_search_locations or ()) if found else ():
        folder = Path(place) / "web"
        if folder.is_dir():
            return folder
    return None


PREFIX = re.compile(r"(/[A-Za-z0-9._~@%+-]+)+")


def first_page(text: str, prefix: str | None) -> str:
    """The file, written for /view/…, as the first page, which lies one folder higher.

    ``prefix``: under which a proxy says that it has put us.  Jupyter's shows the first page under an address without a
    slash at its end too, where "./" would be the folder above.
    """
    base = f"{prefix}/" if prefix and PREFIX.fullmatch(prefix) else "./"
    return text.replace('<base href="../">', f'<base href="{base}">', 1)


def describe(document: dict[str, Any]) -> str:
    """The OpenAPI document as one page of HTML without scripts."""
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>CaveCast API</title>",
        '<meta name=viewport content="width=device-width"><link rel=stylesheet href="docs.css"></head><body>',
        f"<h1>{_text(document['info']['title'])} {_text(document['info']['version'])}</h1>",
        f"<p>{_text(document['info'].get('description', ''))}</p>",
        '<p>The same for machines: <a href="openapi.json">openapi.json</a>.</p><main>',
    ]
    for path, methods in document["paths"].items():
        parts += [_operation(path, method, operation) for method, operation in methods.items()]
    parts.append("</main><h2>Records</h2>")
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        parts.append(_schema(name, schema))
    return "".join(parts) + "</body></html>"


def notice(heading: str, sentence: str) -> str:
    """A page in the viewer's style with one sentence, one folder below the first page, and the way to try again."""
    said = _text(sentence[:1].upper() + sentence[1:])
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{_text(heading)} · CaveCast</title>"
        '<meta name=viewport content="width=device-width"><meta name=color-scheme content="dark light">'
        '<link rel=icon href="../static/icon.svg"><link rel=stylesheet href="../static/style.css"></head><body>'
        '<main id=runs><header><img src="../static/icon.svg" alt="" width=44 height=44>'
        f"<div><h1>{_text(heading)}</h1><p>{said}</p></div></header>"
        '<a class=way href="login">Sign in again</a></main></body></html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    lines = [
        f"<section><h2 id='{_text(operation['operationId'])}'><b>{method.upper()}</b> <code>{_text(path)}</code></h2>",
        f"<p>{_text(operation.get('description') or operation.get('summary', ''))}</p>",
    ]
    lines += [
        f"<p><code>{_text(given['name'])}</code> ({_text(given['in'])}) {_text(given.get('description', ''))}</p>"
        for given in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {})
    for kind, content in body.items():
        lines.append(f"<p>Takes {_text(kind)}: {_reference(content.get('schema', {}))}</p>{_example(content)}")
    lines.append("<dl>")
    for status, answer in operation.get("responses", {}).items():
        kinds = " ".join(
            f"{_text(kind)} {_reference(content.get('schema', {}))}{_example(content)}"
            for kind, content in answer.get("content", {}).items()
        )
        lines.append(f"<dt>{_text(status)}</dt><dd>{_text(answer.get('description', ''))} {kinds}</dd>")
    return "".join(lines) + "</dl></section>"


def _example(content: dict[str, Any]) -> str:
    """What it may look like, to be unfolded; empty if there is no example."""
    if "example" not in content:
        return ""
    found = content["example"]
    text = found if isinstance(found, str) else json.dumps(found, indent=1, ensure_ascii=False)
    return f"<details><summary>Example</summary><pre>{_text(text)}</pre></details>"


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{_text(field)}</code><td>{_reference(facts)}<td>{_text(facts.get('description', ''))}"
        for field, facts in schema.get("properties", {}).items()
    )
    table = f"<table><tr><th>field<th>type<th>meaning{rows}</table>" if rows else ""
    examples = "".join(f"<pre>{_text(json.dumps(one, indent=1))}</pre>" for one in schema.get("examples", ()))
    heading = f"<h3 id='{_text(name)}'>{_text(name)}</h3><p>{_text(schema.get('description', ''))}</p>"
    return f"<section>{heading}{table}{examples}</section>"


def _reference(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href='#{_text(name)}'>{_text(name)}</a>"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_reference(one) for one in schema[several])
    if schema.get("type") == "array" and "items" in schema and isinstance(schema["items"], dict):
        return f"list of {_reference(schema['items'])}"
    if "enum" in schema:
        return " or ".join(_text(json.dumps(one)) for one in schema["enum"])
    return _text(schema.get("type", "anything"))


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
:root { color-scheme: light dark }
h2 b { color: #b45f06 } section { border-top: 1px solid #8886; margin-top: 1.5rem }
h2 { font-size: 1.1rem } dt { font-weight: 600; float: left; clear: left; width: 3rem } dd { margin-left: 3.5rem }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top }
pre { background: #8882; padding: .5rem; overflow: auto }
"""
