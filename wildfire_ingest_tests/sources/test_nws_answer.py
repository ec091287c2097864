"""An answer of api.weather.gov is a list of features or an error that has a name."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.errors import AnswerRefused, FetchError, SourceRejected, SourceUnavailable
from wildfire_ingest.fetch.answer import sample_of
from wildfire_ingest.sources.nws_answer import named, problem, read_features

PROBLEM = {
    "correlationId": "5316761a",
    "title": "Not Found",
    "type": "https://api.weather.gov/problems/NotFound",
    "status": 404,
    "detail": "Not Found",
}
DENIED = (
    "<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD><BODY>\n<H1>Access Denied</H1>\n"
    "You don't have permission to access this server.<P>\nReference 18.2d\n</BODY>\n</HTML>\n"
)


def fetched(body, status, kind=SourceUnavailable):
    """The error as fetch hands it over: a sample, cut and escaped."""
    return kind("status", status=status, sample=sample_of(body, ()))


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("NotFound", 404, SourceUnavailable),
        ("UnexpectedProblem", 500, SourceUnavailable),
        ("UnavailableWebService", 503, SourceUnavailable),
        ("InvalidPoint", 404, SourceRejected),
        ("MarineForecastNotSupported", 404, SourceRejected),
        ("InvalidParameter", 400, SourceRejected),
        ("BadRequest", 400, SourceRejected),
        ("NeverSeenBefore", 502, SourceUnavailable),
        ("NeverSeenBefore", 418, SourceRejected),
    ],
)
def test_a_problem_is_named_with_its_correlation_id(name, status, kind):
    body = json.dumps(PROBLEM | {"type": f"https://api.weather.gov/problems/{name}"}, indent=4)

    error = named(fetched(body.encode(), status))

    assert type(error) is kind
    assert name in str(error)
    assert "5316761a" in str(error)
    assert error.status == status


@pytest.mark.samples
@pytest.mark.parametrize(
    ("file", "status", "kind", "told"),
    [
        ("nws/errors/http404_invalid_point.json", 404, SourceRejected, "InvalidPoint"),
        ("nws/errors/http404_not_found_valid_station.json", 404, SourceUnavailable, "NotFound"),
        ("nws/errors/http500_unexpected_problem.json", 500, SourceUnavailable, "UnexpectedProblem"),
        (
            "nws/errors/http503_unavailable_resource.json",
            503,
            SourceUnavailable,
            "UnavailableWebService",
        ),
        ("nws/observations/testing__PAFA.json", 503, SourceUnavailable, "unavailable now"),
        ("_handmade/nws_http400_parameter_errors.json", 400, SourceRejected, "query.limit"),
    ],
)
def test_every_recorded_error_is_recognised_by_name(samples, file, status, kind, told):
    body = (samples / file).read_bytes()

    error = named(fetched(body, status))
    assert (type(error), error.status) == (kind, status)
    assert told in str(error)
    with pytest.raises(AnswerRefused, match="NWS"):
        read_features(body)


def test_a_block_by_the_front_server_passes_within_a_minute():
    error = named(fetched(DENIED.encode(), 403, SourceRejected))

    assert isinstance(error, SourceUnavailable)
    assert "user_agent" in str(error)
    assert error.retry_after_s == 60


def test_a_named_error_keeps_what_the_server_said_of_waiting():
    error = named(SourceUnavailable("x", status=503, retry_after_s=7.0, sample=json.dumps(PROBLEM)))

    assert error.retry_after_s == 7


@pytest.mark.parametrize(
    "error",
    [
        SourceUnavailable("connection refused"),
        SourceUnavailable("x", status=502, sample="Bad Gateway"),
        SourceUnavailable("x", status=502, sample="<html>Bad Gateway</html>"),
    ],
)
def test_an_error_without_an_nws_name_stays_as_it_is(error):
    assert named(error) is error


def test_features_come_one_by_one_unread():
    body = (
        b'{"type":"FeatureCollection","features":[{"id":"a"}, {"id":[]}],"pagination":{"next":"u"}}'
    )

    found = read_features(body)

    assert found.features == (b'{"id":"a"}', b'{"id":[]}')
    assert found.next_url == "u"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "no such JSON"),
        (b"[]", "no such JSON"),
        (b"{}", "another JSON"),
        (b'{"type":"FeatureCollection"}', "another JSON"),
        (b'{"type":"Feature","features":[]}', "another JSON"),
        (b'{"type":"FeatureCollection","features":null}', "null"),
        (b'{"type":"FeatureCollection","features":{}}', "no such JSON"),
        (b'{"type":"FeatureCollection","features":[}', "no such JSON"),
        (b'{"type":"FeatureCollection","features":[{"a":1}', "no such JSON"),
        (b'{"type":"\xff","features":[]}', "no such JSON"),
        (b'{"x":' + b"[" * 100_000, "no such JSON"),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "no such JSON"),
        (json.dumps(PROBLEM).encode(), "NotFound"),
        (DENIED.encode(), "Access Denied"),
    ],
)
def test_a_body_that_is_no_feature_list_is_refused(body, told):
    with pytest.raises(AnswerRefused, match=told) as raised:
        read_features(body)

    assert len(raised.value.sample) <= 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@settings(max_examples=150)
@given(
    st.binary(max_size=60)
    | st.fixed_dictionaries(
        {"type": st.just("FeatureCollection") | JSON, "features": JSON, "pagination": JSON}
    ).map(lambda found: json.dumps(found).encode())
)
def test_whatever_the_bytes_are_they_are_features_or_refused(body):
    try:
        found = read_features(body)
    except AnswerRefused:
        return
    assert len(found.features) == len(json.loads(body)["features"])


@given(st.text(max_size=300), st.integers(200, 599))
def test_any_text_is_an_error_with_a_name_or_none(text, status):
    assert isinstance(problem(text, status), FetchError | None)


@pytest.mark.parametrize("bad", [rb'"a\ud800"', b"NaN", b"-Infinity"])
def test_one_feature_that_is_no_json_does_not_hide_the_others(bad):
    good = b'{"type":"Feature","properties":{"id":"1"}}'
    body = b'{"type":"FeatureCollection","features":[%s,{"properties":{"id":%s}}],"pagination":%s}'

    found = read_features(body % (good, bad, b'{"next":"https://api.weather.gov/x"}'))

    assert len(found.features) == 2
    assert json.loads(found.features[0]) == json.loads(good)
    assert found.next_url == "https://api.weather.gov/x"
