"""Every command, option, setting, path, field and metric is in the documents, and nothing else is."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Mount, Route, WebSocketRoute

from streamer.cli import COMMANDS, load
from streamer.control.app import make_app
from streamer.control.folder import Folder
from streamer.control.metrics import exposition
from streamer.control.registry import open_registry
from streamer.control.schema import RunRequest
from streamer.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def section(text: str, heading: str) -> str:
    """What stands under a heading."""
    return re.split(r"^#+ ", text.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    """The first cells of a table, without its head."""
    rows = [re.split(r"(?<!\\)\|", line)[1].strip() for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


def all_commands() -> dict[str, Any]:
    """Every command by its whole name, those within a command too."""
    found = {name: load(name) for name in COMMANDS}
    return found | {f"{name} {inner}": c for name, group in found.items() for inner, c in _inner(group).items()}


def _inner(group: Any) -> dict[str, Any]:
    found: dict[str, Any] = getattr(group, "commands", {})
    return found


@pytest.mark.parametrize("name", all_commands())
def test_every_option_of_a_command_is_documented_and_no_other(name: str) -> None:
    documented = set(
        re.findall(r"`(--[a-z-]+|[A-Z]+)", "\n".join(first_column(section(_commands(), f"cavecast {name}"))))
    )
    real: set[str] = set()
    for parameter in all_commands()[name].params:
        long = {option for option in parameter.opts if option.startswith("--")}
        real |= {str(parameter.metavar)} if parameter.param_type_name == "argument" else long
    assert documented == real


def test_every_command_is_documented_and_no_other() -> None:
    assert re.findall(r"^## cavecast (\w+)$", _commands(), re.MULTILINE) == list(COMMANDS)
    inner = [name for name in all_commands() if " " in name]
    assert sorted(re.findall(r"^### cavecast (\w+ [\w-]+)$", _commands(), re.MULTILINE)) == sorted(inner)


def _commands() -> str:
    return (DOCS / "commands.md").read_text()


def test_every_setting_is_documented_with_its_default() -> None:
    text = (DOCS / "settings.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(Settings.model_fields)
    for (_, variable, default, meaning), (name, field) in zip(rows, Settings.model_fields.items(), strict=True):
        assert variable == f"`CAVECAST_{name.upper()}`"
        assert default == ("" if field.default is None else f"`{field.default}`")
        assert meaning == field.description


def test_every_path_is_documented_and_no_other(tmp_path: Path) -> None:
    async def real() -> set[str]:
        folder = Folder(tmp_path)
        async with open_registry(Settings(), folder) as registry:
            found = set()
            for route in make_app(registry).routes:
                if isinstance(route, Mount):
                    found.add(f"GET {route.path}/…")
                elif isinstance(route, WebSocketRoute):
                    found.add(f"WS {route.path}")
                elif isinstance(route, Route):
                    found |= {f"{method} {route.path}" for method in route.methods or () if method != "HEAD"}
        folder.close()
        return found

    text = section((DOCS / "http.md").read_text(), "# The HTTP API")
    documented = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE|WS) [^`]+)`", "\n".join(first_column(text))))
    assert documented == asyncio.run(real())


def test_every_field_of_a_request_is_documented() -> None:
    text = section((DOCS / "http.md").read_text(), "## Starting a run")
    assert [cell.strip("`") for cell in first_column(text)] == list(RunRequest.model_fields)


def test_every_metric_is_documented() -> None:
    text = section((DOCS / "http.md").read_text(), "## Metrics")
    families = text_string_to_metric_families(exposition(list).decode())
    real = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    documented = {cell.strip("`") for cell in first_column(text)}
    cells = first_column((DOCS / "metrics.md").read_text())
    # Those of a wall are compared in tests/barrier.
    whole = {cell.strip("`") for cell in cells if cell.startswith("`cavecast_") and "cavecast_wall_" not in cell}
    assert documented == {name for name in real if not name.startswith(("cavecast_streamer_", "cavecast_relay_"))}
    assert whole == real - documented
