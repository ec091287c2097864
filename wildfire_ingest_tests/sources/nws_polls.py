"""Polls of noaa_weather driven by hand: what is asked, what is answered, what is left."""

import json
from datetime import UTC, datetime

from wildfire_ingest.errors import FetchError, SourceUnavailable
from wildfire_ingest.exchange import Answer
from wildfire_ingest.sources.noaa_weather import NoaaWeather
from wildfire_ingest.sources.settings import NwsObservationsSettings
from wildfire_ingest_tests.sources.nws import HOUR_US, collection, problem

NOON = int(datetime(2026, 8, 15, 12, tzinfo=UTC).timestamp()) * 1_000_000
MINUTE_US = 60_000_000
EMPTY = collection()
BROKEN = SourceUnavailable(
    "status 500", status=500, sample=problem("UnexpectedProblem", 500).decode()
)
NOT_FOUND = Answer(404, {}, problem("NotFound", 404), NOON)


def weather(**changed):
    return NoaaWeather(NwsObservationsSettings(source_id="stations", **changed))


def station(request):
    """The KSAC of /stations/KSAC/observations."""
    return request.template.split("/")[2].split("?")[0]


def start(request):
    return request.template.split("start=")[1].split("&")[0]


def poll(source, replies, cursor=None, now_us=NOON):
    """One poll; `replies`: what a request is answered, an Answer, a body or an error."""
    requests = []
    asking = source.poll(cursor, now_us)
    try:
        request = next(asking)
        while True:
            requests.append(request)
            said = replies(request) if callable(replies) else replies
            if isinstance(said, FetchError):
                request = asking.throw(said)
            else:
                answer = said if isinstance(said, Answer) else Answer(200, {}, said, now_us)
                request = asking.send(answer)
    except StopIteration as done:
        return requests, done.value


def queue(polled):
    """The cursor's queue: name -> hours ago, counted from NOON."""
    found = json.loads(polled.cursor)["queue"]
    return {name: NOON // HOUR_US - hour for hour, names in found for name in names.split(" ")}
