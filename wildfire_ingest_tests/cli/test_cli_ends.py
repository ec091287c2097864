"""How commands end: exit codes, one line on stderr, no traceback, no secret."""

import importlib
import json
import subprocess
import sys

import pytest

from wildfire_ingest.cli import exits, main
from wildfire_ingest.errors import BrokerUnavailable, SourceUnavailable
from wildfire_ingest.fetch.client import ApiClient
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest_tests.cli.answers import MAP_KEY, SOURCE, answer

BUILT = [name for name in main.COMMANDS if name != "demo"]


def test_help_names_every_command_and_every_exit_code(wildfire):
    found = wildfire("--help")

    assert found.exit_code == 0
    for name, words in main.COMMANDS.items():
        assert name in found.stdout
        assert words.split()[0] in found.stdout
    for code in exits.MEANINGS:
        assert f" {code} " in found.stdout


@pytest.mark.parametrize("name", BUILT)
def test_each_command_explains_itself(wildfire, name):
    found = wildfire(name, "--help")

    assert found.exit_code == 0
    assert "Usage:" in found.stdout


def test_the_documentation_names_every_command_and_exit_code(request):
    text = (request.config.rootpath / "docs" / "cli.md").read_text("utf-8")

    for name in main.COMMANDS:
        assert f"wildfire-ingest {name}" in text
    for code in exits.MEANINGS:
        assert f"| {code} |" in text


def test_a_command_that_cannot_be_imported_breaks_no_other(wildfire, monkeypatch):
    monkeypatch.setitem(main.COMMANDS, "absent", "Not installed.")

    assert wildfire("absent").exit_code == exits.WRONG
    assert "Traceback" not in wildfire("absent").stderr
    assert wildfire("lint", "--help").exit_code == 0


def test_start_up_imports_no_librarys_weight():
    heavy = {"confluent_kafka", "pydantic", "numpy", "requests", "rich", "dagster", "yaml"}
    code = "import sys; from wildfire_ingest.cli import main; print(*sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not heavy & set(out.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "Missing argument"),
        (["run", SOURCE, "--once", "--for", "3"], "exclude each other"),
        (["run", "nobody"], "no source 'nobody'; configured are firms_cli"),
        (["preview", "nobody"], "no source 'nobody'"),
        (["audit", "nobody"], "no source 'nobody'"),
        (["recover", "nobody"], "no source 'nobody'"),
        (["simulate", "--faults", "{"], "expected one of flaky"),
        (["simulate", "--replay", "."], "nothing to replay"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(
    wildfire, write_config, arguments, words, monkeypatch, tmp_path
):
    config = write_config()
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)

    found = wildfire(*arguments, config=config)

    assert found.exit_code in (exits.USAGE, exits.WRONG if arguments == ["fly"] else exits.USAGE)
    (line,) = found.stderr.splitlines()
    assert words in line


@pytest.mark.parametrize("command", ["run x", "status", "audit", "topics plan", "dlq list"])
def test_a_configuration_that_is_not_there_ends_with_2(wildfire, tmp_path, command):
    found = wildfire(*command.split(), config=tmp_path / "absent.yaml")

    assert found.exit_code == exits.USAGE
    (line,) = found.stderr.splitlines()
    assert "absent.yaml" in line


def test_several_faults_of_a_configuration_are_one_line(wildfire, write_config):
    config = write_config(queue_max_size=0, kafka={"linger_ms": -1})

    found = wildfire("status", config=config)

    assert found.exit_code == exits.USAGE
    (line,) = found.stderr.splitlines()
    assert "queue_max_size" in line
    assert "linger_ms" in line


def test_lint_shows_each_error_on_its_line_and_ends_with_1(wildfire, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("kafka:\n  bootstrap_server: a:1\nqueue_max_size: 0\n")

    found = wildfire("lint", path)

    assert found.exit_code == exits.WRONG
    lines = found.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:2", f"{path}:3"]


def test_lint_ends_with_0_where_there_are_warnings_only(wildfire, write_config):
    config = write_config(monitoring={})  # and one of a source that breaks its key's quota

    found = wildfire("lint", config)

    assert found.exit_code == 0
    assert ": warning: monitoring: has no effect yet" in found.stdout
    assert "valid, 2 warnings" in found.stderr


def test_lint_without_a_file_checks_the_one_in_use(wildfire, write_config):
    config = write_config()

    assert wildfire("lint", WILDFIRE_CONFIG=str(config)).exit_code == 0
    assert wildfire("lint", config=config).exit_code == 0


def test_the_shipped_configuration_is_clean(wildfire, request):
    found = wildfire("lint", request.config.rootpath / "stream_config.yaml")

    assert (found.exit_code, found.stdout) == (0, "")


def test_a_source_that_runs_already_ends_with_3(wildfire, write_config, tmp_path):
    config = write_config()
    spool = Spool(SpoolSettings(directory=tmp_path / "state", source_id=SOURCE, window_s=1))
    try:
        found = wildfire("run", SOURCE, "--once", config=config)
    finally:
        spool.close()

    assert found.exit_code == exits.BUSY
    assert "already running" in found.stderr.splitlines()[-1]
    (line,) = found.stdout.splitlines()
    assert json.loads(line)["succeeded"] is False


def test_a_broker_that_is_away_ends_the_audit_with_1(wildfire, write_config, monkeypatch):
    reading = importlib.import_module("wildfire_ingest.observe.audit_reading")

    def away(*_):
        raise BrokerUnavailable("asking for the ends of fires: all brokers\nare down")

    monkeypatch.setattr(reading, "_offsets", away)
    found = wildfire("audit", config=write_config())

    assert found.exit_code == exits.WRONG
    assert found.stderr == "error: asking for the ends of fires: all brokers | are down\n"


def test_an_error_of_the_program_shows_its_place_only_when_asked(
    wildfire, write_config, monkeypatch
):
    config = write_config()

    def broken(*_, **__):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(ApiClient, "fetch", broken)
    quiet = wildfire("preview", SOURCE, config=config)
    loud = wildfire("preview", SOURCE, config=config, WILDFIRE_DEBUG="1")

    assert quiet.exit_code == loud.exit_code == exits.WRONG
    assert len(quiet.stderr.splitlines()) == 1
    assert "ZeroDivisionError: by zero (an error of this program" in quiet.stderr
    assert "Traceback" in loud.stderr


@pytest.mark.parametrize("debug", [None, "1"])
def test_no_secret_is_in_an_error(wildfire, write_config, monkeypatch, debug):
    def leaking(*_, **__):
        raise SourceUnavailable(f"GET /api/area/csv/{MAP_KEY}/MODIS_NRT failed")

    monkeypatch.setattr(ApiClient, "fetch", leaking)
    found = wildfire("preview", SOURCE, config=write_config(), WILDFIRE_DEBUG=debug)

    assert found.exit_code == exits.WRONG
    assert MAP_KEY not in found.output
    assert "[redacted]" in found.stderr


def test_an_error_cannot_steer_the_terminal(wildfire, write_config, monkeypatch):
    def steering(*_, **__):
        raise SourceUnavailable("a\x1b[2Jb\u202ec")

    monkeypatch.setattr(ApiClient, "fetch", steering)
    found = wildfire("preview", SOURCE, config=write_config())

    assert found.stderr.startswith("error: a\\x1b[2Jb\\u202ec; ")
    assert found.stderr.rstrip("\n").isprintable()


def test_ctrl_c_ends_with_130(wildfire, write_config, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ApiClient, "fetch", interrupted)
    found = wildfire("preview", SOURCE, config=write_config())

    assert (found.exit_code, found.stderr.strip()) == (exits.INTERRUPTED, "error: interrupted")


def test_a_reader_that_goes_away_is_no_traceback(write_config, tmp_path):
    body = tmp_path / "body.csv"
    body.write_bytes(answer(*(one / 100 for one in range(6_000))))
    command = [sys.executable, "-m", "wildfire_ingest.cli.main", "--config", write_config()]
    process = subprocess.Popen(
        [*command, "preview", SOURCE, "--body", body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"FIRMS_MAP_KEY": MAP_KEY},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    stderr = process.stderr.read().decode()
    process.stderr.close()

    assert process.wait(30) == exits.WRONG
    assert "Traceback" not in stderr
    assert "Broken" not in stderr
