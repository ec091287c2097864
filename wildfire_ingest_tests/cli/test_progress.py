"""What a person sees while sources run."""

import io
import logging
import os
import signal
import threading
from dataclasses import replace

import pytest
from rich.console import Console

from wildfire_ingest.cli.configuration import secrets
from wildfire_ingest.cli.progress import ConsoleLog, Rates, logged, table
from wildfire_ingest.cli.run import stopped_by_signals
from wildfire_ingest.cli.source_run import SourceRun, flat
from wildfire_ingest.config.loader import load
from wildfire_ingest.engine.events import Silent
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.exchange import Secret
from wildfire_ingest.fetch.redact import REDACTOR
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest_tests.cli.answers import MAP_KEY, SOURCE

SECOND_US = 1_000_000
SUMMARY = RunSummary(source_id=SOURCE, ending="done", ledger=Ledger(fetched=1500, published=1200))


@pytest.fixture
def config(write_config):
    return load(write_config(), environ={"FIRMS_MAP_KEY": MAP_KEY}).config


@pytest.fixture
def run(config):
    return SourceRun(config, SOURCE, lambda _engine, _stop: SUMMARY, Silent())


def shown(run, rates=None, now_us=0):
    out = io.StringIO()
    Console(file=out, width=160).print(table([run], rates or Rates(), now_us))
    return out.getvalue()


def test_a_source_that_has_not_begun_is_starting(run):
    assert f"{SOURCE}  starting" in shown(run)


def test_the_table_shows_how_a_run_ended_and_what_it_did(run):
    run.summary = replace(SUMMARY, failed_polls=2, polls=5, consumer_lag=1234)

    text = shown(run)

    assert "done" in text
    assert "5 (2 failed)" in text
    assert "1,500" in text
    assert "1,200" in text
    assert "1,234" in text


def test_the_rate_is_that_of_the_last_second_or_more():
    rates = Rates()

    seen = [
        rates.per_s(SOURCE, n, t * SECOND_US // 2)
        for t, n in enumerate([0, 50, 100, 100, 100, 400, 700])
    ]

    assert seen == [0, 0, 100, 100, 0, 0, 600]


def test_a_source_whose_engine_fails_has_a_summary_with_every_key(run, config):
    def broken(_engine, _stop):
        raise ZeroDivisionError("by zero")

    failing = SourceRun(config, SOURCE, broken, Silent())
    failing.start()
    assert failing.join(30)

    assert failing.summary is not None
    assert (failing.code, failing.summary.ending) == (1, "failed")
    assert flat(failing.summary).keys() == flat(SUMMARY).keys()


def test_a_summary_is_flat_and_says_whether_it_succeeded():
    found = flat(SUMMARY)

    assert (found["fetched"], found["published"], found["succeeded"]) == (1500, 1200, True)
    assert "ledger" not in found


def test_log_lines_beside_the_table_have_no_secret_and_no_markup():
    REDACTOR.learn([Secret("swordfish99")])
    out = io.StringIO()

    with logged(ConsoleLog(Console(file=out, width=200)), logging.WARNING):
        logging.getLogger("wildfire_ingest.events").warning("%s", "[red]swordfish99[/red]")
    logging.getLogger("wildfire_ingest.events").warning("after the end")

    text = out.getvalue()
    assert "WARNING [red][redacted][/red]" in text
    assert "after the end" not in text


def test_every_secret_of_a_configuration_is_found(write_config):
    path = write_config(
        kafka={
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "me",
            "sasl_password": "${ENV:KAFKA_SASL_PASSWORD}",
        }
    )
    environ = {"FIRMS_MAP_KEY": MAP_KEY, "KAFKA_SASL_PASSWORD": "swordfish"}

    found = set(secrets(load(path, environ=environ).config))

    assert found == {Secret(MAP_KEY), Secret("swordfish")}


def test_the_first_signal_asks_to_stop_and_the_second_aborts(monkeypatch, capfd):
    codes: list[int] = []
    stop = threading.Event()
    monkeypatch.setattr(os, "_exit", codes.append)
    before = signal.getsignal(signal.SIGTERM)

    with stopped_by_signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        assert (stop.is_set(), codes) == (True, [])
        os.kill(os.getpid(), signal.SIGINT)

    assert codes == [130]
    assert "stays in the spool" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before
