"""A record's topic is always one of the configuration, chosen in one place, in one order."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wildfire_ingest
from wildfire_ingest.dispatch.settings import ContentRule, PatternRule, RoutingSettings
from wildfire_ingest.dispatch.topic_resolver import Route, TopicResolver
from wildfire_ingest.record import Body, Lane
from wildfire_ingest_tests.dispatch.loads import Alert, Detection

FIRMS, WEATHER, ALERTS, GENERATED, BULK = (
    "wildfire-nasa-firms",
    "wildfire-weather-data",
    "wildfire-weather-alerts",
    "wildfire-alerts-generated",
    "wildfire-weather-bulk",
)
PATTERNS = tuple(
    PatternRule(pattern=pattern, topic=topic)
    for pattern, topic in [
        ("^firms_", FIRMS),
        ("^noaa_", WEATHER),
        ("^noaa_alerts", ALERTS),
        ("_alert", GENERATED),
        ("(^|_)nam_", BULK),
    ]
)


def resolver(**overrides: Any) -> TopicResolver:
    values: dict[str, Any] = {
        "patterns": PATTERNS,
        "declared": frozenset({FIRMS, WEATHER, ALERTS, GENERATED, BULK}),
    }
    return TopicResolver(RoutingSettings(**{**values, **overrides}))


RED_FLAG = ContentRule(field="event", matches="red flag|fire weather", topic=ALERTS)


@pytest.mark.parametrize(
    ("source_id", "body", "expected"),
    [
        ("mapped", Alert(event="Red Flag Warning"), Route(BULK, "mapping")),
        ("noaa_x", Alert(event="Red Flag Warning"), Route(ALERTS, "content")),
        ("own", Alert(event="Red Flag Warning"), Route(ALERTS, "content")),
        ("noaa_x", Alert(event="Flood"), Route(WEATHER, "pattern")),
        ("noaa_own", Alert(event="Flood"), Route(FIRMS, "source")),
        ("own", None, Route(FIRMS, "source")),
        ("unheard_of", Alert(event="Flood"), Route("wildfire-default", "default")),
        ("unheard_of", None, Route("wildfire-default", "default")),
    ],
)
def test_mapping_wins_over_content_over_the_sources_own_topic_over_pattern_over_default(
    source_id: str, body: Body | None, expected: Route
) -> None:
    routes = resolver(
        mapping={"mapped": BULK},
        content=(RED_FLAG,),
        source_topics={"own": FIRMS, "noaa_own": FIRMS, "mapped": FIRMS},
    )

    assert routes.resolve(source_id, body) == expected


def test_defect_21_the_topic_of_the_hot_path_is_the_topic_that_was_resolved() -> None:
    routes = resolver(content=(RED_FLAG,))
    topic = routes.for_source("noaa_x", Alert)
    assert callable(topic)

    for body in (Alert(event="RED FLAG WARNING"), Alert(event="Flood"), Alert()):
        assert topic(body) == routes.resolve("noaa_x", body).topic


def test_defect_22_each_record_of_a_mixed_poll_has_its_own_topic() -> None:
    topic = resolver(content=(RED_FLAG,)).for_source("noaa_x", Alert)
    assert callable(topic)

    events = ["Red Flag Warning", "Flood", "Fire Weather Watch", "Gale"]
    assert [topic(Alert(event=event)) for event in events] == [ALERTS, WEATHER, ALERTS, WEATHER]


@pytest.mark.parametrize(
    ("source_id", "topic"),
    [
        ("emergency_alert", GENERATED),
        ("evacuation_alerts", GENERATED),
        ("EMERGENCY_ALERT_2", GENERATED),
    ],
)
def test_defect_23_a_pattern_is_found_anywhere_in_the_id(source_id: str, topic: str) -> None:
    assert resolver().resolve(source_id, None) == Route(topic, "pattern")


def test_defect_23_a_more_specific_pattern_wins_although_it_stands_later() -> None:
    assert resolver().resolve("noaa_alerts_california", None).topic == ALERTS


def test_defect_23_otherwise_the_first_pattern_in_the_list_wins() -> None:
    assert resolver().resolve("noaa_buoy_alert", None).topic == WEATHER
    catch_all_first = (PatternRule(pattern=".", topic=BULK), *PATTERNS)
    assert resolver(patterns=catch_all_first).resolve("firms_x", None).topic == BULK


def test_defect_23_unknown_data_goes_to_the_one_default_and_not_to_the_fire_topic() -> None:
    assert resolver().resolve("firesat_perimeters", None) == Route("wildfire-default", "default")


def test_defect_23_an_empty_alert_id_does_not_exist() -> None:
    rule = ContentRule(field="alert_id", exists=True, topic=GENERATED)
    routes = resolver(content=(rule,))

    assert routes.resolve("noaa_x", Alert(alert_id="")).by == "pattern"
    assert routes.resolve("noaa_x", Alert(alert_id="urn:1")).by == "content"


def test_defect_24_part_of_a_word_in_an_id_does_not_route_it() -> None:
    routes = resolver()

    assert routes.resolve("iot_dynamic_1", None).by == "default"
    assert routes.resolve("wx_nam_forecast", None).topic == BULK


def test_defect_24_an_event_alone_does_not_make_a_weather_alert() -> None:
    routes = resolver(content=(RED_FLAG,))

    assert routes.resolve("noaa_x", Alert(event="Flood")).topic == WEATHER
    assert routes.resolve("noaa_alerts_x", Alert()).topic == ALERTS


def test_defect_25_nothing_depends_on_pythons_salted_hash() -> None:
    """A key or partition made with hash() would differ in every process."""
    root = Path(wildfire_ingest.__file__).parent
    salted = [
        f"{path.relative_to(root)}:{call.lineno}"
        for path in root.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and function.name != "__hash__"
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "hash"
    ]

    assert salted == []


def test_a_type_that_no_content_rule_can_match_costs_nothing_per_record() -> None:
    routes = resolver(content=(RED_FLAG,))

    assert routes.for_source("firms_viirs", Detection) == FIRMS
    assert routes.lane_for("firms_viirs", Detection, Lane.HIGH) is Lane.HIGH


def test_a_mapped_source_costs_nothing_per_record() -> None:
    routes = resolver(mapping={"noaa_x": BULK}, content=(RED_FLAG,))

    assert routes.for_source("noaa_x", Alert) == BULK


def test_a_rule_on_the_record_type_is_decided_once() -> None:
    rule = ContentRule(field="type", equals="weather_alert", topic=ALERTS, lane=Lane.CRITICAL)
    routes = resolver(content=(rule,))

    assert routes.for_source("x", Alert) == ALERTS
    assert routes.lane_for("x", Alert, Lane.LOW) is Lane.CRITICAL
    assert routes.for_source("x", Detection) == "wildfire-default"


def test_rules_set_lanes_per_record_and_the_rest_keeps_the_sources_lane() -> None:
    rules = (
        ContentRule(field="severity", equals="Extreme", lane=Lane.CRITICAL),
        ContentRule(field="severity", exists=True, lane=Lane.HIGH),
    )
    lane = resolver(content=rules, mapping={"noaa_x": BULK}).lane_for("noaa_x", Alert, Lane.LOW)
    assert callable(lane)

    found = [lane(Alert(severity=severity)) for severity in ("Extreme", "Minor", None)]
    assert found == [Lane.CRITICAL, Lane.HIGH, Lane.LOW]


@pytest.mark.parametrize(
    ("rule", "body", "matches"),
    [
        ({"equals": "N"}, Detection(satellite="N"), True),
        ({"equals": "N"}, Detection(satellite="N20"), False),
        ({"field": "frp_mw", "equals": 5}, Detection(frp_mw=5.0), True),
        ({"field": "frp_mw", "equals": True}, Detection(frp_mw=1.0), False),
        ({"field": "day", "equals": 1}, Detection(day=True), False),
        ({"field": "day", "equals": False}, Detection(day=False), True),
        ({"field": "day", "equals": False}, Detection(), False),
        ({"matches": "^n\\d"}, Detection(satellite="N20"), True),
        ({"matches": "5"}, Detection(frp_mw=5.0), False),
        ({"exists": False}, Detection(), True),
        ({"exists": False}, Detection(satellite="N"), False),
        ({"field": "no_such_field", "exists": False}, Detection(), True),
        ({"field": "no_such_field", "exists": True}, Detection(), False),
        ({"exists": True, "equals": "N", "matches": "x"}, Detection(satellite="N"), False),
    ],
)
def test_every_given_condition_must_hold(
    rule: dict[str, Any], body: Detection, matches: bool
) -> None:
    content = (ContentRule(**{"field": "satellite", "topic": ALERTS, **rule}),)

    assert (resolver(content=content).resolve("x", body).by == "content") is matches


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mapping": {"a": "nowhere"}}, "mapping of 'a': topic 'nowhere' is not declared"),
        ({"source_topics": {"a": "nowhere"}}, "topic of source 'a'"),
        ({"patterns": (PatternRule(pattern="a", topic="nowhere"),)}, "pattern 'a'"),
        (
            {"content": (ContentRule(field="event", exists=True, topic="nowhere"),)},
            "content rule on 'event': topic",
        ),
        ({"patterns": (PatternRule(pattern="(", topic=BULK),)}, "no regular expression"),
        (
            {"content": (ContentRule(field="event", matches="[", topic=BULK),)},
            "no regular expression",
        ),
        ({"content": (ContentRule(field="event", topic=BULK),)}, "has no condition"),
        ({"content": (ContentRule(field="event", exists=True),)}, "has no effect"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused_at_once(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", "\\(")):
        resolver(**wrong)


def test_the_default_topic_need_not_be_declared() -> None:
    assert resolver(mapping={"a": "wildfire-default"}).resolve("a", None).by == "mapping"


def test_topics_and_strategies_are_counted_also_on_the_hot_path() -> None:
    routes = resolver(content=(RED_FLAG,))
    per_record = routes.for_source("noaa_x", Alert)
    assert callable(per_record)

    per_record(Alert(event="Red Flag Warning"))
    per_record(Alert())
    routes.count("firms_x", Detection, 20_000)
    routes.resolve("unheard_of", None)

    counts = routes.counts()
    assert counts.topic_usage == {ALERTS: 1, WEATHER: 1, FIRMS: 20_000, "wildfire-default": 1}
    assert counts.resolutions == {"content": 1, "pattern": 20_001, "default": 1}


words = st.text(alphabet="abN_^ 0", max_size=6)


@given(
    st.text(max_size=30),
    st.builds(Alert, event=st.none() | st.text(max_size=30), alert_id=st.none() | words),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_whatever_the_content_the_topic_is_declared_and_the_same_every_time(
    source_id: str, body: Alert, own: bool
) -> None:
    rules = (RED_FLAG, ContentRule(field="alert_id", matches="a|b", topic=GENERATED))
    routes = resolver(content=rules, source_topics={source_id: BULK} if own else {})

    route = routes.resolve(source_id, body)

    assert route.topic in {FIRMS, WEATHER, ALERTS, GENERATED, BULK, "wildfire-default"}
    assert routes.resolve(source_id, body) == route
    hot = routes.for_source(source_id, Alert)
    assert (hot(body) if callable(hot) else hot) == route.topic


@given(st.lists(words.filter(lambda text: text.strip("^") != ""), max_size=6), words)
@settings(max_examples=200, deadline=None)
def test_asking_the_more_specific_first_never_loses_a_match(
    literals: list[str], source_id: str
) -> None:
    patterns = tuple(
        PatternRule(pattern=literal, topic=f"t{i}") for i, literal in enumerate(literals)
    )
    declared = frozenset(f"t{i}" for i in range(len(literals)))
    in_any_order = [
        TopicResolver(RoutingSettings(patterns=given_order, declared=declared))
        for given_order in (patterns, patterns[::-1])
    ]

    found = {routes.resolve(source_id, None).by for routes in in_any_order}
    assert len(found) == 1
