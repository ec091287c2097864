"""Where a record goes: mapping, content rule, pattern, default; and in which lane.

Pure: rules are data, fixed at construction.  A topic comes only from the configuration: values
of a record choose among declared topics and never become one.  One resolver per source (its
counters are not locked).

What a source's rules cannot change for a record type is decided once and not per record:
`for_source` and `lane_for` then answer a constant.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from wildfire_ingest.dispatch.settings import ContentRule, PatternRule, RoutingSettings
from wildfire_ingest.record import Body, Lane

Strategy = Literal["mapping", "content", "pattern", "source", "default"]
_SEARCHED_CHARS = 4096
"""Of a field's text; a hostile value must not cost more than that."""
_LITERAL = re.compile(r"(\^?)([\w\- ]+)")


@dataclass(frozen=True, slots=True)
class Route:
    """A declared topic and which kind of rule chose it."""

    topic: str
    by: Strategy


@dataclass(frozen=True, slots=True)
class RouteCounts:
    """How many records each topic got and each kind of rule decided."""

    topic_usage: Mapping[str, int]
    resolutions: Mapping[Strategy, int]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is left to decide per record: the rules that may match, in order, then the rest."""

    rules: tuple[tuple[Callable[[Body], bool], Route], ...]
    otherwise: Route


class TopicResolver:
    """The routing rules of the configuration.  Raises ValueError for a rule that cannot hold."""

    def __init__(self, settings: RoutingSettings) -> None:
        self._settings = settings
        _check_topics(settings)
        for rule in settings.content:
            _check_rule(rule)
        self._patterns = [
            (_compiled(rule.pattern, "topic pattern"), rule.topic)
            for rule in most_specific_first(settings.patterns)
        ]
        self._plans: dict[tuple[str, type[Body] | None], _Plan] = {}
        self._usage: Counter[str] = Counter()
        self._resolutions: Counter[Strategy] = Counter()

    def resolve(self, source_id: str, body: Body | None) -> Route:
        """The route of one record (None: without fields), counted."""
        plan = self._plan(source_id, None if body is None else type(body))
        route = plan.otherwise if body is None else _walk(plan, body)
        self._count(route, 1)
        return route

    def for_source(self, source_id: str, body_type: type[Body]) -> Callable[[Body], str] | str:
        """The topic of every record of that type, or how to find it (and count it) per record.

        A constant answer is not counted: report with `count` how many records went there.
        """
        plan = self._plan(source_id, body_type)
        if not plan.rules:
            return plan.otherwise.topic

        def topic_of(body: Body) -> str:
            route = _walk(plan, body)
            self._count(route, 1)
            return route.topic

        return topic_of

    def count(self, source_id: str, body_type: type[Body] | None, records: int) -> None:
        """Count records that went to the constant that `for_source` answered."""
        self._count(self._plan(source_id, body_type).otherwise, records)

    def lane_for(
        self, source_id: str, body_type: type[Body], default: Lane
    ) -> Callable[[Body], Lane] | Lane:
        """The lane of every record of that type, or how to find it; `default` is the source's."""
        rules: list[tuple[Callable[[Body], bool], Lane]] = []
        for rule in self._settings.content:
            matches = _matcher(rule, source_id, body_type)
            if rule.lane is None or matches is False:
                continue
            if matches is True:
                default = rule.lane
                break
            rules.append((matches, rule.lane))
        if not rules:
            return default

        def lane_of(body: Body) -> Lane:
            return next((lane for matches, lane in rules if matches(body)), default)

        return lane_of

    def counts(self) -> RouteCounts:
        """A snapshot of the counters."""
        return RouteCounts(
            MappingProxyType(dict(self._usage)), MappingProxyType(dict(self._resolutions))
        )

    def _count(self, route: Route, records: int) -> None:
        self._usage[route.topic] += records
        self._resolutions[route.by] += records

    def _plan(self, source_id: str, body_type: type[Body] | None) -> _Plan:
        key = (source_id, body_type)
        if key not in self._plans:
            self._plans[key] = self._new_plan(source_id, body_type)
        return self._plans[key]

    def _new_plan(self, source_id: str, body_type: type[Body] | None) -> _Plan:
        mapped = self._settings.mapping.get(source_id)
        if mapped is not None:
            return _Plan((), Route(mapped, "mapping"))
        rules: list[tuple[Callable[[Body], bool], Route]] = []
        for rule in self._settings.content if body_type is not None else ():
            matches = _matcher(rule, source_id, body_type)
            if rule.topic is None or matches is False:
                continue
            if matches is True:
                return _Plan(tuple(rules), Route(rule.topic, "content"))
            rules.append((matches, Route(rule.topic, "content")))
        return _Plan(tuple(rules), self._by_source(source_id))

    def _by_source(self, source_id: str) -> Route:
        own = self._settings.source_topics.get(source_id)
        if own is not None:
            return Route(own, "source")
        for pattern, topic in self._patterns:
            if pattern.search(source_id):
                return Route(topic, "pattern")
        return Route(self._settings.default, "default")


def most_specific_first(patterns: tuple[PatternRule, ...]) -> list[PatternRule]:
    """In the order given, but a rule that an earlier one would hide altogether goes before it.

    `^noaa_alerts` after `^noaa_` could never match; it is the more specific, so it is asked first.
    """
    ordered: list[PatternRule] = []
    for rule in patterns:
        hidden_by = (i for i, earlier in enumerate(ordered) if _hides(earlier, rule))
        ordered.insert(next(hidden_by, len(ordered)), rule)
    return ordered


def _hides(earlier: PatternRule, later: PatternRule) -> bool:
    """Whether every id that `later` matches is matched by `earlier`; only literals are judged."""
    first, second = _LITERAL.fullmatch(earlier.pattern), _LITERAL.fullmatch(later.pattern)
    if first is None or second is None or earlier.pattern.lower() == later.pattern.lower():
        return False
    wide, narrow = first[2].lower(), second[2].lower()
    if first[1]:
        return bool(second[1]) and narrow.startswith(wide)
    return wide in narrow


def _walk(plan: _Plan, body: Body) -> Route:
    for matches, route in plan.rules:
        if matches(body):
            return route
    return plan.otherwise


def _matcher(
    rule: ContentRule, source_id: str, body_type: type[Body] | None
) -> Callable[[Body], bool] | bool:
    """Whether the rule matches every (True) or no (False) such record, or how to see it."""
    holds = _condition(rule)
    if body_type is None:
        return False
    field = rule.field
    if field in body_type.__struct_fields__:
        return lambda body: holds(getattr(body, field))
    constants = {
        "source_id": source_id,
        "type": body_type.record_type,
        "schema_version": body_type.schema_version,
    }
    return holds(constants.get(field))


def _condition(rule: ContentRule) -> Callable[[object], bool]:
    """All conditions of one rule, on the field's value; None = the field is absent."""
    wanted, exists = rule.equals, rule.exists
    pattern = None
    if rule.matches is not None:
        pattern = _compiled(rule.matches, f"content rule on {rule.field!r}")

    def holds(value: object) -> bool:
        if exists is not None and (value is not None and value != "") is not exists:
            return False
        if wanted is not None and not _is_equal(value, wanted):
            return False
        if pattern is None:
            return True
        return isinstance(value, str) and bool(pattern.search(value[:_SEARCHED_CHARS]))

    return holds


def _is_equal(value: object, wanted: str | float | bool) -> bool:
    # True == 1 in Python; a rule that says true does not mean 1.
    return isinstance(value, bool) is isinstance(wanted, bool) and value == wanted


def _compiled(pattern: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as wrong:
        raise ValueError(f"{where}: {pattern!r} is no regular expression: {wrong}") from None


def _check_rule(rule: ContentRule) -> None:
    if rule.equals is None and rule.matches is None and rule.exists is None:
        raise ValueError(
            f"content rule on {rule.field!r} has no condition: give equals, matches or exists"
        )
    if rule.topic is None and rule.lane is None:
        raise ValueError(f"content rule on {rule.field!r} has no effect: give a topic or a lane")
    _condition(rule)


def _check_topics(settings: RoutingSettings) -> None:
    used = [
        *((f"mapping of {source!r}", topic) for source, topic in settings.mapping.items()),
        *((f"content rule on {rule.field!r}", rule.topic) for rule in settings.content),
        *((f"pattern {rule.pattern!r}", rule.topic) for rule in settings.patterns),
        *(
            (f"topic of source {source!r}", topic)
            for source, topic in settings.source_topics.items()
        ),
    ]
    known = settings.declared | {settings.default}
    for where, topic in used:
        if topic is not None and topic not in known:
            raise ValueError(
                f"{where}: topic {topic!r} is not declared; declare it under topics, "
                f"or use one of: {', '.join(sorted(known))}"
            )
