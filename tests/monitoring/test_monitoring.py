"""The rules and the dashboard, judged by Prometheus itself; and a page that a real Prometheus scrapes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from edgecam.sinks.web import WebSink
from edgecam.types import QueueState, SinkState
from tests.helpers.broker import free_port
from tests.helpers.waiting import until
from tests.sinks.test_web_metrics import timed
from tests.sinks.web_support import Camera, running

pytestmark = pytest.mark.prometheus

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "docs" / "monitoring" / "alerts.yml"
DASHBOARD = ROOT / "docs" / "monitoring" / "grafana.json"
SINKS = (SinkState("mqtt://broker/", well=False, queue=QueueState(2, 300, 1, 5)), SinkState("web:"))


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: apt install prometheus")
    return path


def promtool(*arguments: str, cwd: Path) -> None:
    done = subprocess.run([program("promtool"), *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def queries() -> list[str]:
    """Of all panels, with Grafana's variables filled in."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [text.replace("$instance", ".*").replace("$__rate_interval", "1m") for text in found]


def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    promtool("check", "rules", str(ALERTS), cwd=tmp_path)
    text = (Path(__file__).parent / "alerts_test.yml").read_text().replace("ALERTS]", f"{ALERTS}]")
    (tmp_path / "test.yml").write_text(text)
    promtool("test", "rules", "test.yml", cwd=tmp_path)
    alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
    assert len(alerts) == 9 and all(f"alertname: {name}\n        exp" in text for name in alerts)


def test_promtool_finds_nothing_to_say_of_the_metrics() -> None:
    with running() as sink:
        sink.push(timed(Camera().packet(), sinks=SINKS, temperature=50.0))
        text = httpx.get(f"{sink.url}metrics").text
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[tuple[str, WebSink]]:
    """The address of one that scrapes a page, and the page's sink."""
    port = free_port()
    with running() as sink:
        host = sink.url.removeprefix("http://").rstrip("/")
        (tmp_path / "prometheus.yml").write_text(
            "global: { scrape_interval: 200ms, evaluation_interval: 200ms }\n"
            f"rule_files: [{ALERTS}]\n"
            f"scrape_configs: [{{ job_name: edgecam, static_configs: [{{ targets: ['{host}'] }}] }}]\n"
        )
        promtool("check", "config", "prometheus.yml", cwd=tmp_path)
        command = [program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command.append(f"--web.listen-address=127.0.0.1:{port}")
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}", sink
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def ask(base: str, query: str) -> list[dict[str, Any]]:
    try:
        answer = httpx.get(f"{base}/api/v1/query", params={"query": query}).json()
    except (httpx.HTTPError, ValueError):
        return []
    assert answer["status"] == "success", (query, answer)
    return list(answer["data"]["result"])


def test_a_real_prometheus_scrapes_it_and_answers_the_dashboard(prometheus: tuple[str, WebSink]) -> None:
    base, sink = prometheus
    camera = Camera()

    def fed() -> None:
        figures = {"camera_fps": 30.0, "inference_fps": 15.0, "frames": camera.seq, "temperature": 50.0}
        sink.push(timed(camera.packet(), sinks=SINKS, model_version="1.0", model_sha256="ab", **figures))

    def value(query: str) -> float | None:
        found = ask(base, query)
        return float(found[0]["value"][1]) if found else None

    until("it is up", lambda: (fed(), value('up{job="edgecam"}') == 1)[1], 60)
    until("results are counted", lambda: (fed(), (value("edgecam_frames_total") or 0) > 5)[1])
    assert value("edgecam_inference_fps") == 15 and value("edgecam_temperature_celsius") == 50
    assert value('edgecam_state{state="running"}') == 1
    assert value('edgecam_queue_entries{sink="mqtt://broker/"}') == 2
    (info,) = ask(base, "edgecam_info")
    assert info["metric"]["model_sha256"] == "ab" and info["metric"]["model_version"] == "1.0"
    # A rate needs two scrapes in which something was counted.
    until("there are rates", lambda: (fed(), (value("rate(edgecam_age_seconds_count[1m])") or 0) > 0)[1])
    empty = [query for query in queries() if not ask(base, query)]
    assert empty == [], "each panel shows something"
    rules = httpx.get(f"{base}/api/v1/rules").json()["data"]["groups"][0]["rules"]
    assert len(rules) == 9
    until(
        "the alert of a sink that does not work is on its way",
        lambda: ask(base, 'ALERTS{alertname="EdgecamSinkDown", sink="mqtt://broker/"}'),
    )


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["title"] == "edgecam" and dashboard["schemaVersion"] >= 36
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)) > 10
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text())) - {"__rate_interval", "__all"} <= variables
    for panel in dashboard["panels"]:
        assert panel["title"] and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert all(target["expr"] for target in panel["targets"])
