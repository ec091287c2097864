"""A folder of recorded answers is served as a sequence of polls, none skipped, none twice."""

import gzip

import pytest
import requests

from wildfire_ingest.simulator.faults import Fault, FaultPlan
from wildfire_ingest.simulator.firms_truth import Truth
from wildfire_ingest.simulator.replay import ReplaySite
from wildfire_ingest.sources.firms_csv import read_csv

PATH = "/api/area/csv/key/MODIS_NRT/world/1"
HEADER = (
    "latitude,longitude,brightness,scan,track,acq_date,acq_time,satellite,"
    "confidence,version,bright_t31,frp,daynight\n"
)
ROW = "{lat},37.4,310.1,3.4,1.7,2022-02-26,0020,T,70,6.1NRT,272.01,{frp},N\n"


def answer(*latitudes, frp="64.9"):
    return (HEADER + "".join(ROW.format(lat=lat, frp=frp) for lat in latitudes)).encode()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "poll_1.csv").write_bytes(answer(1, 2))
    (tmp_path / "poll_2.csv.gz").write_bytes(gzip.compress(answer(2, 3)))
    (tmp_path / "poll_3.csv").write_bytes(answer(1, 3, frp="65"))
    (tmp_path / "notes.md").write_text("not a recording")
    return tmp_path


def test_each_poll_gets_the_next_recording_and_the_last_one_stays(serve, get, folder):
    server = serve(ReplaySite(folder))

    bodies = [get(server, PATH).content for _ in range(5)]

    assert bodies == [answer(1, 2), answer(2, 3), *[answer(1, 3, frp="65")] * 3]
    state = get(server, "/_simulator/state").json()
    assert (state["position"], state["recordings"], state["at_end"]) == (3, 3, True)
    assert state["polls_after_end"] == 2


def test_the_truth_counts_distinct_rows_and_changed_values(serve, get, folder):
    server = serve(ReplaySite(folder))

    for _ in range(3):
        get(server, PATH)

    state = server.state()
    assert (state["rows"], state["distinct_rows"], state["value_changes"]) == (6, 3, 2)
    assert state["expected_records"] == 5


def test_the_end_can_be_a_404(serve, get, folder):
    server = serve(ReplaySite([folder / "poll_1.csv"], at_end="not_found"))

    answers = [get(server, PATH) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 404]
    assert answers[1].text == "end of replay\n"


def test_a_recorded_error_is_an_error(serve, get, tmp_path):
    (tmp_path / "error.txt").write_text("Invalid MAP_KEY.")

    found = get(serve(ReplaySite(tmp_path)), PATH)

    assert (found.status_code, found.text) == (400, "Invalid MAP_KEY.")


def test_on_command_the_recording_stays_until_it_is_told(serve, get, post, folder):
    server = serve(ReplaySite(folder, advances="on_command"))

    first, again = get(server, PATH).content, get(server, PATH).content
    position = post(server, "next").json()["position"]

    assert first == again == answer(1, 2)
    assert position == 1
    assert get(server, PATH).content == answer(2, 3)


def test_a_fault_does_not_cost_a_recording(serve, get, folder):
    plan = FaultPlan((Fault(kind="truncated", at=(1,)), Fault(kind="html", at=(3,))))
    server = serve(ReplaySite(folder), faults=plan)

    with pytest.raises(requests.RequestException):
        get(server, PATH)
    bodies = [get(server, PATH).content for _ in range(4)]

    assert bodies[0] == answer(1, 2)
    assert bodies[2:] == [answer(2, 3), answer(1, 3, frp="65")]


def test_an_answer_that_ends_late_does_not_take_the_replay_back(folder):
    site = ReplaySite(folder)

    def begun():
        on_sent = site.answer(PATH, {}, 0).on_sent
        assert on_sent is not None
        return on_sent

    late, first = begun(), begun()
    first()
    second = begun()
    second()
    late()

    assert site.answer(PATH, {}, 0).body == answer(1, 3, frp="65")


def test_a_path_that_is_no_data_moves_nothing(serve, get, folder):
    server = serve(ReplaySite(folder))

    assert get(server, "/favicon.ico").status_code == 400
    assert server.state()["position"] == 0


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing to replay"):
        ReplaySite(tmp_path)


def test_the_truth_forgets_only_the_oldest_days(monkeypatch):
    monkeypatch.setattr("wildfire_ingest.simulator.firms_truth.MAX_KEYS", 3)
    truth = Truth()

    for day in ("26", "27", "28"):
        truth.note(answer(1, 2).replace(b"2022-02-26", f"2022-02-{day}".encode()))

    assert truth.counts.distinct_rows == 6
    assert sum(map(len, truth._days.values())) <= 3


@pytest.mark.samples
@pytest.mark.parametrize(
    ("folder", "pattern"),
    [
        ("derived_polls_modis_global_24h", "*.csv.gz"),
        ("derived_polls_viirs_24h", "snpp*"),
        ("derived_polls_viirs_24h", "noaa20*"),
    ],
)
def test_recorded_polls_replayed_are_read_row_for_row(serve, get, samples, folder, pattern):
    files = sorted((samples / "firms" / folder).glob(pattern))
    server = serve(ReplaySite(files))
    keys: set[bytes] = set()
    rows = 0
    for _ in files:
        decoded = read_csv(get(server, PATH).content)
        assert decoded.rejects == []
        keys.update(record.natural_key for record in decoded.records)
        rows += decoded.rows

    state = server.state()

    assert state["at_end"]
    assert (state["rows"], state["distinct_rows"]) == (rows, len(keys))
