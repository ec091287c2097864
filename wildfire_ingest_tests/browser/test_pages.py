"""What a person sees in Dagster's UI, by a real browser: numbers, verdicts, and no secret.

The webserver and the code server are real; what a run would tell is told to the instance, so no
broker is needed.  Skipped where there is no Chromium.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest
import requests

from wildfire_ingest.config import loader
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.orchestration.reporter import WindowReporter
from wildfire_ingest.simulator.brokers_process import LOOPBACK, ServerProcess, free_ports
from wildfire_ingest.simulator.dagster_api import DagsterApi, DagsterRefused
from wildfire_ingest_tests.browser.chromium import NAMES, Browser, chromium
from wildfire_ingest_tests.dagster.conftest import MAP_KEY, SASL_WORDS, document
from wildfire_ingest_tests.dagster.deployment import MODULE, SETTINGS, eventually

pytestmark = pytest.mark.browser

SOURCE, TOPIC = "firms_test", "wildfire-nasa-firms"
ASSET = f"/assets/wildfire/nasa_firms/{SOURCE}"
PLACE = f"/locations/{MODULE}"
SECRETS = {"FIRMS_MAP_KEY": MAP_KEY, "KAFKA_WORDS": SASL_WORDS}
SASL = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "PLAIN",
    "sasl_username": "ingest",
    "sasl_password": "${ENV:KAFKA_WORDS}",
}
SENT, BAD = 4321, 1234
TOLD = RunSummary(
    source_id=SOURCE,
    ending="done",
    ledger=Ledger(fetched=SENT + BAD, accepted=SENT, rejected=BAD, published=SENT + BAD, dead=BAD),
    life=Ledger(fetched=SENT + BAD, accepted=SENT, rejected=BAD, published=SENT + BAD, dead=BAD),
    duration_s=10.0,
    uptime_s=10.0,
    topics={TOPIC: SENT},
)


class Ui(NamedTuple):
    """A browser, and the address of the webserver."""

    browser: Browser
    url: str

    def page(self, path: str, *words: str) -> str:
        """The text of a page on which these words are."""
        self.browser.go(self.url + path)
        return self.browser.wait_for(*words)


def tell(home: Path, file: Path) -> None:
    """What a run tells of TOLD."""
    config = loader.load(file, environ=SECRETS).config
    reporter = WindowReporter(config, config.sources[SOURCE])
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for event in reporter.events(TOLD, final=True):
            instance.report_runless_asset_event(event)


def is_ready(url: str) -> bool:
    """Whether the definitions are loaded."""
    with contextlib.closing(DagsterApi(url, location=MODULE)) as api:
        try:
            return any(one.is_loaded for one in api.locations().values())
        except (requests.RequestException, DagsterRefused):
            return False


def cells(text: str) -> str:
    """A table's text without the times of its rows: a cell a line."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.endswith((" AM", " PM")))


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    if chromium() is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    folder = tmp_path_factory.mktemp("ui")
    (folder / "dagster.yaml").write_text(SETTINGS.read_text())
    file = folder / "stream_config.json"
    file.write_text(json.dumps({**document(kafka=SASL), "state_dir": str(folder / "state")}))
    tell(folder, file)
    (port,) = free_ports(1)
    server = ServerProcess(
        [sys.executable, "-m", "dagster_webserver", "-m", MODULE, "-h", LOOPBACK, "-p", str(port)],
        log=folder / "webserver.log",
        cwd=folder,
        env={**os.environ, **SECRETS, "DAGSTER_HOME": str(folder), "WILDFIRE_CONFIG": str(file)},
    )
    url = f"http://{LOOPBACK}:{port}"
    try:
        eventually(lambda: is_ready(url), 90, "the webserver has loaded the definitions")
        with Browser() as browser:
            yield Ui(browser, url)
    finally:
        server.stop()


def test_an_asset_shows_its_rows_and_what_became_of_the_others(ui):
    text = ui.page(ASSET, "Row count", "records_dlq", "https://firms.modaps.eosdis.nasa.gov")

    assert f"records_sent\n{SENT}" in cells(text)
    assert f"records_dlq\n{BAD}" in cells(text)


def test_a_check_shows_its_verdict_and_its_reason(ui):
    reason = f"{BAD:,} of {SENT + BAD:,} rows"
    text = ui.page(f"{ASSET}?view=checks&checkDetail=dead_letter_ratio", reason)

    assert text.index("Latest execution") < text.index(reason) < text.rindex("Failed")


def test_the_topic_is_shown_as_filled_by_its_source(ui):
    text = ui.page(f"/assets/kafka/{TOPIC}", "Latest materialization", "from", SOURCE)

    assert "Never materialized" not in text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (ASSET, "records_sent"),
        (f"{ASSET}?view=events", "records_sent"),
        (f"{PLACE}/resources/api", "ApiClientResource"),
        (f"{PLACE}/resources/kafka", "bootstrap_servers"),
        (f"{PLACE}/jobs/ingest_{SOURCE}/playground", "Launch Run"),
        (f"{PLACE}/schedules/schedule_{SOURCE}", "Every minute"),
        ("/deployment/config", "run_coordinator"),
    ],
)
def test_no_page_shows_a_secret(ui, path, words):
    text = ui.page(path, words) + ui.browser.evaluate("document.documentElement.outerHTML")

    assert [name for name, secret in SECRETS.items() if secret in text] == []
