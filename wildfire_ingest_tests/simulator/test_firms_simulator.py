"""The simulator speaks FIRMS' wire format, and its truth agrees with what the source reads."""

import csv
import io

import pytest

from wildfire_ingest.errors import SourceRejected, SourceUnavailable
from wildfire_ingest.exchange import Answer, Secret
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.firms_world import WorldSettings
from wildfire_ingest.sources.firms_csv import read_csv
from wildfire_ingest.sources.nasa_firms import FirmsSettings, NasaFirms

KEY = "0123456789abcdef0123456789abcdef"
NOON_US = 1_786_795_200_000_000  # 2026-08-15 12:00 UTC
MINUTE_US = 60_000_000
SNPP = f"/api/area/csv/{KEY}/VIIRS_SNPP_NRT/world/1"
PRODUCT_NAMES = ("VIIRS_SNPP_NRT", "VIIRS_NOAA20_NRT", "VIIRS_NOAA21_NRT", "MODIS_NRT")
MODIS = f"/api/area/csv/{KEY}/MODIS_NRT/world/1"


def simulator(start_us=NOON_US, *, world=None, **options):
    return FirmsSimulator(WorldSettings(**(world or {})), start_us, **options)


def polled(site, path, now_us):
    """One whole answer, counted as served."""
    reply = site.answer(path, {}, now_us)
    assert (reply.status, reply.is_data) == (200, True), reply.body
    reply.on_sent()
    return reply.body


def rows(body):
    return list(csv.DictReader(io.StringIO(body.decode("ascii"))))


def test_the_api_spells_its_rows_as_firms_does():
    found = rows(polled(simulator(), SNPP, NOON_US))

    assert ",".join(found[0]) == (
        "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,"
        "confidence,version,bright_ti5,frp,daynight"
    )
    assert {row["satellite"] for row in found} == {"N"}
    assert {row["confidence"] for row in found} <= {"l", "n", "h"}
    numbers = [row[name] for row in found for name in ("latitude", "bright_ti4", "scan", "frp")]
    assert not [text for text in numbers if "." in text and text.endswith(("0", "."))]


def test_the_api_cuts_the_leading_zeros_of_the_time():
    five_past_midnight = NOON_US - 12 * 60 * MINUTE_US + 5 * MINUTE_US

    body = polled(simulator(five_past_midnight), SNPP, five_past_midnight)

    assert {row["acq_time"] for row in rows(body)} <= {"0", "1", "2", "3", "4", "5", "6"}


def test_a_static_file_is_spelt_as_a_static_file():
    path = "/data/active_fire/modis-c6.1/csv/MODIS_C6_1_Global_24h.csv"

    found = rows(polled(simulator(), path, NOON_US))

    assert "instrument" not in found[0]
    assert {row["satellite"] for row in found} == {"T", "A"}
    assert {len(row["acq_time"]) for row in found} == {4}
    assert all(len(row["latitude"].split(".")[1]) == 5 for row in found)


def test_lines_end_with_a_line_feed_also_the_last():
    body = polled(simulator(), SNPP, NOON_US)

    assert body.endswith(b"\n")
    assert b"\r" not in body


def test_two_simulators_of_one_seed_serve_the_same_bytes_and_another_seed_others():
    def served(seed):
        return polled(simulator(world={"seed": seed}), MODIS, NOON_US + 5 * MINUTE_US)

    assert served(7) == served(7) != served(8)


def test_rows_come_at_the_asked_rate():
    site = simulator(world={"rows_per_minute": 600.0})
    paths = [f"/api/area/csv/{KEY}/{name}/world/1" for name in PRODUCT_NAMES]
    for path in paths:
        polled(site, path, NOON_US)
    before = site.distinct_rows_served()

    for minute in range(1, 11):
        for path in paths:
            polled(site, path, NOON_US + minute * MINUTE_US)

    # About every row is served as URT and again, as another row, as NRT.
    assert 600 * 10 <= site.distinct_rows_served() - before <= 2 * 600 * 10 + 600


def polls_of(site, path, minutes):
    return [polled(site, path, NOON_US + at * MINUTE_US) for at in range(minutes)]


def test_rows_come_late_behind_newer_ones():
    newest, late = "", 0
    seen: set[bytes] = set()
    for body in polls_of(simulator(), SNPP, 20):
        fresh = {line for line in body.splitlines()[1:] if line not in seen}
        times = [row["acq_time"].zfill(4) for row in rows(body)]
        late += any(line.split(b",")[6].decode().zfill(4) < newest for line in fresh)
        newest = max([newest, *times])
        seen |= fresh

    assert late > 5


def test_urt_rows_vanish_and_nrt_rows_take_their_place():
    bodies = polls_of(simulator(), SNPP, 20)

    urt = {line for body in bodies for line in body.splitlines() if b"2.0URT" in line}

    assert urt
    assert urt - set(bodies[-1].splitlines())
    assert b"2.0NRT" in bodies[-1]


def test_modis_urt_has_a_placeholder_for_its_confidence():
    found = [row for body in polls_of(simulator(), MODIS, 5) for row in rows(body)]

    assert {row["confidence"] for row in found if row["version"] == "6.1URT"} == {"95"}
    assert len({row["confidence"] for row in found if row["version"] == "6.1NRT"}) > 20


def test_values_change_under_one_key_and_change_back():
    site = simulator(world={"revised_share": 0.5, "late_share": 1.0})
    values: dict[bytes, list[object]] = {}
    for body in polls_of(site, SNPP, 15):
        for record in read_csv(body).records:
            history = values.setdefault(record.natural_key, [record.body])
            if history[-1] != record.body:
                history.append(record.body)

    changes = sum(len(history) - 1 for history in values.values())

    assert any(len(history) == 3 and history[0] == history[2] for history in values.values())
    assert site.state()["value_changes"] == changes > 0


@pytest.mark.parametrize("path", [SNPP, MODIS])
def test_the_truth_of_the_simulator_is_what_the_source_reads(path):
    site = simulator(world={"revised_share": 0.2})
    keys: set[bytes] = set()
    for body in polls_of(site, path, 30):
        decoded = read_csv(body)
        assert decoded.rejects == []
        keys.update(record.natural_key for record in decoded.records)

    assert site.distinct_rows_served() == len(keys) > 500


def test_one_row_of_api_and_static_file_is_one_row_for_truth_and_source():
    after_midnight = NOON_US - 12 * 60 * MINUTE_US + 9 * MINUTE_US
    site = simulator(after_midnight)
    static = "/data/active_fire/suomi-npp-viirs-c2/csv/SUOMI_VIIRS_C2_Global_24h.csv"
    one = read_csv(polled(site, SNPP[:-1] + "2", after_midnight)).records
    distinct = site.distinct_rows_served()

    other = read_csv(polled(site, static, after_midnight)).records

    assert sorted(one, key=lambda r: r.natural_key) == sorted(other, key=lambda r: r.natural_key)
    assert site.distinct_rows_served() == distinct == len(one)
    assert site.state()["value_changes"] == 0


def test_the_source_and_the_simulator_agree_on_every_path():
    site = simulator(map_keys=frozenset({KEY}))
    for product in PRODUCT_NAMES:
        for feed in ("api", "static"):
            source = NasaFirms(
                FirmsSettings(source_id="x", product=product, map_key=Secret(KEY), feed=feed)
            )
            poll = source.poll(None, NOON_US)
            request = next(poll)
            path = request.template.format(
                **{name: secret.reveal() for name, secret in request.secrets.items()}
            )
            reply = site.answer(path, {}, NOON_US)
            with pytest.raises(StopIteration) as ended:
                poll.send(Answer(200, {}, reply.body, NOON_US))
            assert len(ended.value.value.decoded.records) > 100


def test_an_area_holds_only_its_own_rows():
    site = simulator()
    area = f"/api/area/csv/{KEY}/VIIRS_SNPP_NRT/-125,32,-114,49/1"

    inside = rows(polled(site, area, NOON_US))

    assert 0 < len(inside) < len(rows(polled(site, SNPP, NOON_US)))
    assert all(-125 <= float(row["longitude"]) <= -114 for row in inside)


def test_days_are_whole_days_of_utc():
    midnight = NOON_US - 12 * 60 * MINUTE_US
    site = simulator(midnight - 30 * MINUTE_US)
    now = midnight + 10 * MINUTE_US

    today = rows(polled(site, SNPP, now))
    both = rows(polled(site, SNPP[:-1] + "2", now))
    before = rows(polled(site, SNPP + "/2026-08-14", now))

    assert {row["acq_date"] for row in today} == {"2026-08-15"}
    assert {row["acq_date"] for row in before} == {"2026-08-14"}
    assert len(both) == len(today) + len(before)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/api/area/csv/wrong/VIIRS_SNPP_NRT/world/1", b"Invalid MAP_KEY.\n"),
        (SNPP[:-1] + "10", b"Invalid day range. Expects [1..5].\n"),
        (
            f"/api/area/csv/{KEY}/VIIRS_SNPP_NRT/-999,0,1,1/1",
            b"Invalid area coordinate. Expects: [-180..180].\n",
        ),
        ("/api/area/json/x", b"Invalid API call.\n"),
    ],
)
def test_a_wrong_request_is_answered_as_by_firms_and_the_source_understands(path, text):
    reply = simulator(map_keys=frozenset({KEY})).answer(path, {}, NOON_US)

    assert (reply.status, reply.body) == (400, text)
    with pytest.raises(SourceRejected):
        read_csv(reply.body)


@pytest.mark.parametrize("status", [400, 429])
def test_a_spent_quota_is_refused_until_its_interval_has_passed(status):
    site = simulator(quota_units=100, quota_status=status)
    for _ in range(2):
        polled(site, SNPP, NOON_US)  # 36 units each

    refused = site.answer(SNPP, {}, NOON_US)

    assert refused.status == status
    with pytest.raises(SourceUnavailable):
        read_csv(refused.body)
    assert site.answer(SNPP, {}, NOON_US + 10 * MINUTE_US).status == 200


def test_the_key_status_tells_what_is_spent():
    site = simulator()
    polled(site, SNPP, NOON_US)

    reply = site.answer(f"/mapserver/mapkey_status/?MAP_KEY={KEY}", {}, NOON_US)

    assert b'"current_transactions":36' in reply.body


def test_data_availability_names_the_products():
    reply = simulator().answer(f"/api/data_availability/csv/{KEY}/ALL", {}, NOON_US)

    assert reply.body.startswith(b"data_id,min_date,max_date\nMODIS_NRT,2026-06-16,2026-08-15\n")


def test_a_static_file_that_has_not_changed_is_not_sent_again():
    site = simulator()
    path = "/data/active_fire/modis-c6.1/csv/MODIS_C6_1_Global_24h.csv"
    stamp = site.answer(path, {}, NOON_US).headers["Last-Modified"]

    same = site.answer(path, {"if-modified-since": stamp}, NOON_US)
    later = site.answer(path, {"if-modified-since": stamp}, NOON_US + 3 * MINUTE_US)

    assert (same.status, same.body, later.status) == (304, b"", 200)


@pytest.mark.parametrize(
    "path",
    [
        "/data/active_fire/modis-c6.1/csv/MODIS_C6_1_Atlantis_24h.csv",
        "/data/active_fire/suomi-npp-viirs-c2/csv/MODIS_C6_1_Global_24h.csv",
        "/",
    ],
)
def test_an_unknown_file_is_a_page_with_404(path):
    reply = simulator().answer(path, {}, NOON_US)

    assert reply.status == 404
    assert reply.body.startswith(b"<!DOCTYPE html>")


def test_speed_lets_the_world_run_ahead_of_the_clock():
    slow, fast = simulator(), simulator(speed=10)

    assert polled(fast, SNPP, NOON_US + MINUTE_US) == polled(slow, SNPP, NOON_US + 10 * MINUTE_US)


def test_the_state_tells_answers_rows_and_refusals():
    site = simulator(map_keys=frozenset({KEY}))
    for _ in range(2):
        polled(site, SNPP, NOON_US)
    site.answer("/api/area/csv/wrong/VIIRS_SNPP_NRT/world/1", {}, NOON_US)

    state = site.state()

    assert (state["answers"], state["refused"]) == (2, 1)
    assert state["rows"] == 2 * state["distinct_rows"] == 2 * state["expected_records"]
