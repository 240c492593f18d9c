"""What the OpenAPI document allows to be asked is answered as it says: schemathesis and a real control plane."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import jsonschema
import msgspec
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from schemathesis.specs.openapi import checks as conform

from streamer.control.access.project_routes import TokenRequest
from streamer.control.catalog_routes import Look
from streamer.control.examples import OF_ROUTES, SHOWN
from streamer.control.openapi import RECORDS
from streamer.control.run_routes import Scale
from streamer.control.runs import Run
from streamer.control.schema import RunRequest
from tests.control.parts import DEADLINE_S, control_plane, ended, start, volume

EXAMPLES = 10
CHECKS = (
    schemathesis.checks.not_a_server_error, conform.status_code_conformance, conform.content_type_conformance,
    conform.response_schema_conformance, conform.response_headers_conformance,
)  # fmt: skip
LOOKS = ("/api/v1/runs", "/api/v1/datasets/inspect", "/api/v1/runs/{run_id}/clone")
"""A request there that is good may look at an input, which takes a second: a few are enough."""


@schemathesis.serializer("application/toml")
def toml(_: Any, value: Any) -> bytes:
    """A wall file as it is: any text."""
    return str(value).encode("utf-8", "surrogatepass")


class Api(NamedTuple):
    schema: Any
    url: str
    run_id: str
    """A run that is over."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    path = volume(folder / "blobs.npy", (4, 8, 8))
    with control_plane("--dir", str(folder / "home"), CAVECAST_MAX_RUNS="2") as (client, _):
        run_id = ended(client, start(client, input=str(path), threshold=0.5, view=False, workers=1)["run_id"])["run_id"]
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        yield Api(schema, str(client.base_url), run_id)


def document() -> dict[str, Any]:
    """The document, read without a server."""
    from streamer.control import app

    class Nobody:
        admission = SimpleNamespace()

        def __getattr__(self, name: str) -> None:
            raise AttributeError(name)

    made: FastAPI = app.make_app(Nobody())  # type: ignore[arg-type]
    found: dict[str, Any] = json.loads(json.dumps(made.openapi()))
    return found


DOCUMENT = document()


def operations() -> list[tuple[str, str]]:
    """All that the document names."""
    return [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]


def contents(method: str, path: str) -> list[tuple[str, dict[str, Any]]]:
    """What an operation takes, and what it answers as JSON when all goes well, each with a name for it."""
    operation = DOCUMENT["paths"][path][method]
    found = [("the body", content) for content in operation.get("requestBody", {}).get("content", {}).values()]
    return found + [
        (status, content)
        for status, answer in operation["responses"].items()
        for kind, content in answer.get("content", {}).items()
        if status < "400" and kind == "application/json"
    ]


@pytest.mark.parametrize(("method", "path"), operations())
def test_what_is_taken_and_answered_has_an_example_that_fits_its_schema(method: str, path: str) -> None:
    for name, content in contents(method, path):
        assert "example" in content, f"{method.upper()} {path}: {name} has no example (streamer/control/examples.py)"
        schema = {**content["schema"], "components": DOCUMENT["components"]}
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(content["example"])


def test_every_refusal_has_an_example_of_its_status() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                for media, content in answer.get("content", {}).items():
                    if media == "application/problem+json":
                        assert content["example"]["status"] == int(status), (method, path)


@pytest.mark.parametrize("kind", [RunRequest, Scale, Look, TokenRequest])
def test_an_example_of_a_request_is_one_that_is_taken(kind: type[BaseModel]) -> None:
    found = DOCUMENT["components"]["schemas"][kind.__name__]["examples"]
    assert found
    for one in found:
        kind.model_validate(one)


def test_what_is_no_json_has_an_example_where_it_is_text() -> None:
    def of(path: str, media: str) -> Any:
        return DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"][media]["example"]

    runs = "/api/v1/runs/{run_id}"
    event, said, *_ = of(f"{runs}/events", "text/event-stream").splitlines()
    assert event == "event: run"
    assert msgspec.json.decode(said.removeprefix("data: "), type=Run) == SHOWN[Run]
    (place,) = of(f"{runs}/objects", "application/geo+json")["features"]
    assert place["geometry"] == {"type": "Point", "coordinates": [-138.4, 41.2]}
    head, first, *_ = of(f"{runs}/objects/{{object_id}}", "text/csv; charset=utf-8").splitlines()
    assert len(head.split(",")) == len(first.split(","))
    assert "2021-10-04T00:00:00" in first


def test_what_is_no_json_has_a_schema_and_an_example_if_it_is_text() -> None:
    seen = set()
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                for media, content in answer.get("content", {}).items():
                    if status >= "300" or media == "application/json":
                        continue
                    seen.add(media)
                    assert content.get("schema"), (method, path, media)
                    text = content["schema"].get("format") != "binary" and media != "image/svg+xml"
                    assert ("example" in content) is text, (method, path, media)
    assert seen >= {"text/plain", "text/event-stream", "application/vnd.apache.parquet", "image/png"}
    figures = DOCUMENT["paths"]["/metrics"]["get"]["responses"]["200"]["content"]["text/plain"]["example"]
    families = {one.name: one for one in text_string_to_metric_families(figures)}
    assert {one.labels["state"]: one.value for one in families["cavecast_runs"].samples}["running"] == 1
    later = DOCUMENT["paths"]["/api/v1/runs"]["post"]["responses"]["429"]["headers"]["Retry-After"]
    assert "full queue" in later["description"]


def test_the_page_about_the_api_names_no_status_that_the_document_does_not() -> None:
    compared = 0
    for row in (Path(__file__).parents[2] / "docs" / "http.md").read_text().splitlines():
        found = re.match(r"\| `(GET|POST|DELETE) (/[^`]+)` \|.*\| ([^|]*) \|$", row)
        if found is None or found[2] not in DOCUMENT["paths"]:
            continue
        named = set(re.findall(r"(?:^|[;,] |or )([2-5]\d\d)\b", found[3]))
        operation = DOCUMENT["paths"][found[2]][found[1].lower()]
        assert named <= set(operation["responses"]), row
        compared += bool(named)
    assert compared >= 25


def test_examples_of_routes_are_of_routes_that_there_are() -> None:
    assert {(method.lower(), path) for method, path in OF_ROUTES} <= set(operations())
    assert set(SHOWN) <= set(RECORDS), "nothing is shown that no route answers"


def test_an_example_of_a_run_agrees_with_itself() -> None:
    runs = [one for one in (*SHOWN.values(), *OF_ROUTES.values()) if isinstance(one, Run)]
    assert len(runs) >= 6
    for run in runs:
        assert run.status.run_id == run.run_id
        assert run.view_url == f"/view/{run.run_id}"
        assert math.prod(run.counts) == run.status.chunks
        assert math.prod(run.shape) == run.status.voxels
        assert run.status.committed + run.status.leased + run.status.failed <= run.status.chunks
        assert run.status.voxels_done <= run.status.voxels


@pytest.mark.parametrize(("method", "path"), operations())
def test_every_answer_is_one_that_the_document_names(api: Api, method: str, path: str) -> None:
    operation = api.schema[path][method.upper()]
    looks = method == "post" and path in LOOKS

    @settings(
        max_examples=4 if looks else EXAMPLES, derandomize=True, deadline=None, database=None,
        phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(), real=st.booleans())
    def ask(case: Any, real: bool) -> None:
        if real and method != "delete" and "run_id" in (case.path_parameters or {}):
            case.path_parameters["run_id"] = api.run_id
        answer = case.call(base_url=api.url, timeout=DEADLINE_S)
        case.validate_response(answer, checks=list(CHECKS))

    ask()


def test_every_record_of_the_document_has_a_schema(api: Api, tmp_path: Path) -> None:
    schemas = api.schema.raw_schema["components"]["schemas"]
    assert {record.__name__ for record in RECORDS} <= set(schemas)
    text = json.dumps(api.schema.raw_schema)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(schemas)
