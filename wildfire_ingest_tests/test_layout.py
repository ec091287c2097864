"""The project's files keep what the project promises about them: no address, no path, no secret."""

import ast
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "wildfire_ingest"
LOCKS = {name: ROOT / "requirements" / f"{name}.txt" for name in ("run", "demo", "dev")}
LONGEST_FILE_LINES = 400
LONGEST_FUNCTION_LINES = 40
TEXT = {".py", ".md", ".txt", ".in", ".toml", ".yaml", ".yml", ".xml", ".json", ".cfg", ".sh", ""}

# In pieces, so that this file does not match itself.
REGISTRY = re.compile(
    "|".join(
        [
            "pypi" + r"\.org",
            "python" + r"hosted\.org",
            r"repo1?\.maven" + r"\.",
            "registry" + r"\.npmjs",
            "(extra-)?index" + "-url *[=h]",
            "<" + "repositor(y|ies)>",
        ]
    )
)
HOME = re.compile(r"(?<![\w.~}])/(home|Users|root|work)" + r"/[\w.]")
SECRET = re.compile(
    "|".join(
        [
            "AKIA" + "[0-9A-Z]{16}",
            "-----BEGIN [A-Z ]*PRIVATE" + " KEY",
            "gh[pousr]" + "_[A-Za-z0-9]{36}",
            "xox[abp]" + "-[0-9]{8}",
        ]
    )
)
ASSIGNED_SECRET = re.compile(
    r"""(?ix) (map_key|api_key|password|secret|token) ["']? \s*[:=]\s* ["']?
    (?!\$\{) (?=[a-z]*[0-9]) [a-z0-9+/_-]{16,}"""
)


def _files():
    """The files that git knows; all text files of a copy without git."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        paths = [*ROOT.glob("*.*"), *PACKAGE.rglob("*.*"), *(ROOT / "requirements").iterdir()]
    return [path for path in paths if path.is_file() and path.suffix in TEXT]


def _lines_with(pattern, paths):
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in paths
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_holds_a_package_registrys_address():
    assert _lines_with(REGISTRY, _files()) == []


def test_no_file_holds_a_path_of_somebodys_machine():
    assert _lines_with(HOME, _files()) == []


def test_no_file_holds_a_key_of_a_known_kind():
    # Self-signed for a server on loopback in these tests, worth nothing anywhere else.
    throw_away = ROOT / "wildfire_ingest_tests" / "fetch" / "certificates.py"

    assert _lines_with(SECRET, [path for path in _files() if path != throw_away]) == []


def test_no_shipped_file_assigns_a_secret_a_value():
    shipped = [path for path in _files() if ROOT / "wildfire_ingest_tests" not in path.parents]

    assert _lines_with(ASSIGNED_SECRET, shipped) == []


def test_the_patterns_find_what_they_are_for():
    assert REGISTRY.search("--index" + "-url https://example.org")
    assert HOME.search('Path("/home' + '/ann/data")')
    assert SECRET.search("AKIA" + "A" * 16)
    assert ASSIGNED_SECRET.search("map_key: " + "0123456789abcdef" * 2)
    assert not ASSIGNED_SECRET.search("map_key: ${ENV:FIRMS_MAP_KEY_OF_2026}")


def test_nothing_listens_on_every_interface():
    everywhere = re.compile(r"(?<![\d.])0\.0\.0\." + r"0(?![\d.])|create_server\(\s*\(\s*['\"]{2}")
    code = [path for path in _files() if path.suffix in {".py", ".yaml", ""}]

    assert _lines_with(everywhere, code) == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_a_module_and_its_functions_can_be_read_in_one_sitting(path):
    source = path.read_text("utf-8")
    too_long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION_LINES
    ]

    assert len(source.splitlines()) < LONGEST_FILE_LINES
    assert too_long == []


def _locked(path):
    """Each requirement of a lock with its continuation lines."""
    text = re.sub(r"\s*#.*", "", path.read_text("utf-8")).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_one_version_and_its_hashes(name):
    entries = _locked(LOCKS[name])

    assert entries
    for entry in entries:
        assert re.match(r"^[a-z0-9._\[\]-]+==[\w.+!]+( ; [^#]+?)?( +--hash=sha256:\w{64})+$", entry)


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_satisfies_the_project_file(name):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    wanted += extras["demo"] if name != "run" else []
    wanted += extras["dev"] if name == "dev" else []
    versions: dict[str, list[str]] = {}
    for entry in _locked(LOCKS[name]):
        package, version = re.split(r"==|\s", entry)[:2]
        versions.setdefault(package.split("[")[0], []).append(version)

    for requirement in map(Requirement, wanted):
        found = versions.get(requirement.name.lower().replace("_", "-"), [])
        assert found, f"{requirement} is not in requirements/{name}.txt: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in found)


def test_the_locks_agree_on_every_version():
    dev = {entry.split(" ")[0] for entry in _locked(LOCKS["dev"])}

    for name in ("run", "demo"):
        assert {entry.split(" ")[0] for entry in _locked(LOCKS[name])} <= dev


def test_dagster_reads_the_workspace_file():
    """A [tool.dagster] or [tool.dg] block would make `dagster dev` ignore workspace.yaml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

    assert not {"dagster", "dg"} & set(project["tool"])
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text("utf-8"))
    assert (
        workspace["load_from"][0]["python_module"]["module_name"] == "wildfire_ingest.definitions"
    )


def test_dagsters_settings_send_nothing_home_and_start_many_sources():
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text("utf-8"))

    assert settings["telemetry"] == {"enabled": False}
    assert settings["concurrency"]["runs"]["max_concurrent_runs"] > 10


def test_dagster_accepts_its_settings(tmp_path):
    from dagster import DagsterInstance

    (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())

    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert not instance.telemetry_enabled


def test_every_make_target_says_what_it_does():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)

    documented = re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE)

    assert set(documented) == set(phony.split())


def test_continuous_integration_runs_the_readmes_two_commands():
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert script.read_text("utf-8").splitlines()[-2:] == ["make test", "make demo SECONDS=60"]
