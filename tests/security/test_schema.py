"""The page's server against its own OpenAPI document, by Schemathesis: strange values for all it takes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

import edgecam.sinks.web
from edgecam.sinks.web import WebSink
from tests.security.support import Book, folder_with_a_snapshot
from tests.sinks.test_web_page_api import context
from tests.sinks.web_support import Camera, make

load_all_checks()


@schemathesis.serializer("application/sdp")
def _as_it_is(context: Any, value: Any) -> bytes:
    return str(value).encode("utf-8", "replace")


# Endless answers are read by other tests.
ENDLESS = ("/stream.mjpg", "/live", "/events")
DOCUMENT = json.loads((Path(edgecam.sinks.web.__file__).parent / "page" / "openapi.json").read_bytes())
for path in ENDLESS:
    del DOCUMENT["paths"][path]
EXAMPLES = 10
# The document cannot say which name, password, key or version is the right one: a valid value may be refused.
UNKNOWABLE = [positive_data_acceptance]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, WebSink]]:
    """One that asks for nothing, and one that asks for a token which nobody shows."""
    folder = tmp_path_factory.mktemp("page")
    kept = folder_with_a_snapshot(folder)
    found = {"open": make("web:?port=0&edit=yes"), "locked": make("web:?port=0&edit=yes&token=secret")}
    for sink in found.values():
        sink.start(context(editing=Book(folder / "edgecam.toml"), folders=(kept,)))
        sink.push(Camera().packet())
    yield found
    for sink in found.values():
        sink.close()


def operations() -> list[tuple[str, str]]:
    return [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]


CASES = [
    *[("open", path, method, False) for path, method in operations()],
    # Only these take anything that could be wrong: whatever comes as a text is one.
    ("open", "/api/events", "get", True),
    ("open", "/api/recordings", "get", True),
    ("open", "/api/segments", "get", True),
    ("open", "/api/settings", "put", True),
    *[("locked", path, method, False) for path, method in operations()],
]


@pytest.mark.parametrize(("door", "path", "method", "wrong"), CASES)
def test_every_answer_is_one_of_the_document(
    door: str, path: str, method: str, wrong: bool, pages: dict[str, WebSink]
) -> None:
    page = pages[door]
    page.push(Camera().packet())  # healthy is who has a picture of now
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method.upper()]
    mode = GenerationMode.NEGATIVE if wrong else GenerationMode.POSITIVE
    headers = {}
    if method == "put" and door == "open":
        # Or nothing would get past that.
        headers["X-Edgecam-Secret"] = httpx.get(f"{page.url}api/settings").json()["secret"]
    seen: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES if takes_something(path, method) else 1,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def attack(case: Any) -> None:
        answer = case.call(base_url=page.url.rstrip("/"), headers=headers, timeout=10, allow_redirects=False)
        seen[answer.status_code] += 1
        case.validate_response(answer, excluded_checks=UNKNOWABLE)

    attack()
    if door == "open" and not wrong:
        assert not {401, 403, 429} & set(seen)
    if door == "locked" and path not in ("/healthz", "/login", "/logout"):
        assert set(seen) <= {401, 403, 429}


def takes_something(path: str, method: str) -> bool:
    operation = DOCUMENT["paths"][path][method]
    return "parameters" in operation or "requestBody" in operation
