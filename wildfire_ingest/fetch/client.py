"""The way to one source's API: limits, circuit, cache, deadline, retries, in this order.

Everything is decided elsewhere (rate_limit, circuit, retry, answer); here it is put into order
and waited for.  Seconds at the surface, integer microseconds inside.

What a caller sees of the cache:
  within the time to live a repeat is `Answer(from_cache=True)`: no poll took place;
  `fetch(…, take_look=True)` has a kept answer that nobody took yet as its own poll
    (from_cache=False), exactly one caller of all processes: a sensor looks, the run takes;
  "nothing new" (304, or the same bytes again) is said only of an answer whose rows are durable
    (`settled`) in the spool that is served: of any other the kept body is handed over again,
    for its rows may never have reached that spool.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping

from wildfire_ingest.clock import SECOND_US, Clock
from wildfire_ingest.errors import (
    AnswerRefused,
    CircuitOpen,
    FetchError,
    SourceRejected,
    SourceUnavailable,
)
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.fetch import answer, redact
from wildfire_ingest.fetch.cache import Entry, ResponseCache
from wildfire_ingest.fetch.call import Call, Failure, unanswered
from wildfire_ingest.fetch.circuit import Refuse
from wildfire_ingest.fetch.circuits import SourceCircuit
from wildfire_ingest.fetch.counters import Counting, FetchCounters
from wildfire_ingest.fetch.quota import Limits
from wildfire_ingest.fetch.rate_limit import Admit
from wildfire_ingest.fetch.retry import GiveUp, RetryPolicy, next_retry, parse_retry_after
from wildfire_ingest.fetch.settings import FetchSettings
from wildfire_ingest.fetch.shared_state import SharedState
from wildfire_ingest.fetch.target import Target
from wildfire_ingest.fetch.transport import NoReply, Reply, Transport

MAX_REDIRECTS = 3


class ApiClient:
    """One source's client; a Fetcher.  For one thread at a time."""

    def __init__(
        self, settings: FetchSettings, clock: Clock, rng: random.Random | None = None
    ) -> None:
        """Raises ConfigError for a base_url that must not be used."""
        self._settings = settings
        self._clock = clock
        # Jitter spreads retries; it protects nothing.
        self._draw = (rng or random.Random()).random  # noqa: S311 (no secret is drawn)
        self._target = Target(settings.base_url, allow_insecure_http=settings.allow_insecure_http)
        self._state = SharedState(settings.state_dir)
        self._limits = Limits(self._state, settings)
        self._circuit = SourceCircuit(self._state, settings)
        self._cache = ResponseCache(
            self._state, settings.state_dir, settings.source_id, settings.base_url
        )
        self._transport = Transport(settings, self._target)
        self._ttl_us = int(settings.cache_ttl_s * SECOND_US)
        self._look_ttl_us = max(self._ttl_us, int(settings.look_ttl_s * SECOND_US))
        self._retries = RetryPolicy(
            settings.max_attempts,
            int(settings.backoff_base_s * SECOND_US),
            int(settings.backoff_max_s * SECOND_US),
        )
        self._counting = Counting()
        self._handed: dict[str, Entry] = {}
        self._pruned = False
        redact.install()

    @property
    def counters(self) -> FetchCounters:
        """What was done until now."""
        return self._counting.snapshot()

    def fetch(
        self, request: Request, *, stop: threading.Event | None = None, take_look: bool = False
    ) -> Answer:
        """One request, its retries inside its deadline.

        Raises SourceUnavailable, AnswerRefused, SourceRejected (their `sample` is the body's
        beginning) or CircuitOpen; where `retry_after_s` is set, asking earlier is useless.
        """
        call = self._begin(request, stop, take_look=take_look)
        kept = self._from_cache(call)
        if kept is not None:
            return kept
        verdict = self._circuit.ask(self._clock.now_us())
        if isinstance(verdict, Refuse):
            self._unread(request)
            wait_s = verdict.wait_us / SECOND_US
            raise CircuitOpen(
                f"{call.shown}: not asked: the source failed too often; its next trial is in "
                f"{wait_s:.0f} s",
                retry_after_s=wait_s,
            )
        call.trial = verdict.trial
        outcome = self._ask(call)
        if isinstance(outcome, Failure):
            self._unread(request)
            self._blame(call, outcome)
            # Without the frames it passed: they hold the URL and the body.
            raise outcome.error.with_traceback(None)
        self._circuit.succeeded()
        return outcome

    def serve(self, spool_id: str) -> None:
        """Rows go into this spool from now on: what another spool took in is not in it."""
        self._cache.serve(spool_id)

    def abandoned(self) -> None:
        """The poll ended before its rows were durable: what it was handed stays unsettled."""
        self._handed.clear()

    def settled(self) -> None:
        """The rows of every answer handed over since the last abandoned poll are durable."""
        for entry in self._handed.values():
            self._cache.settle(entry)
        self._handed.clear()

    def refused(self, request: Request, error: FetchError) -> None:
        """The source found that a status 200 was no answer: it is forgotten, and a failure."""
        self._cache.drop(request)
        self.abandoned()
        at_once = isinstance(error, SourceRejected)
        self._circuit.failed(self._clock.now_us(), at_once=at_once)

    def close(self) -> None:
        """Close the connections; closing twice is closing once."""
        self._transport.close()
        self._state.close()

    def _unread(self, request: Request) -> None:
        """The source may go on without this answer; without a further page it has not all."""
        if request.continues:
            self.abandoned()

    def _begin(self, request: Request, stop: threading.Event | None, *, take_look: bool) -> Call:
        if not self._pruned:
            self._pruned = True
            self._cache.prune(self._clock.now_us())
        secrets = frozenset((*request.secrets.values(), *request.secret_headers.values()))
        redact.REDACTOR.learn(secrets)
        deadline_us = self._clock.monotonic_us() + int(self._settings.deadline_s * SECOND_US)
        is_kept = self._look_ttl_us > 0 and not request.whole
        entry = self._cache.find(request) if is_kept else None
        shown = redact.redact(self._target.shown(request), secrets)
        return Call(request, shown, secrets, deadline_us, stop, entry, take_look=take_look)

    def _from_cache(self, call: Call) -> Answer | None:
        now_us = self._clock.now_us()
        entry = call.entry
        if entry is None or not entry.is_fresh(now_us, self._look_ttl_us):
            return None
        if call.take_look and self._cache.take(entry):
            self._counting.add(looks_taken=1)
            return self._of_entry(entry, entry.validated_at_us)
        if not entry.is_fresh(now_us, self._ttl_us):
            return None
        self._counting.add(cache_hits=1)
        return Answer(
            200,
            entry.headers,
            entry.body,
            entry.validated_at_us,
            from_cache=True,
            awaits_poll=not (entry.taken or entry.settled),
        )

    def _ask(self, call: Call) -> Answer | Failure:
        """Attempts, each with its token, until an answer, a refusal or the bounds of retry."""
        attempts = 1 if call.trial else self._retries.max_attempts
        policy = RetryPolicy(attempts, self._retries.base_us, self._retries.max_us)
        attempt = 1
        while True:
            outcome = self._attempt(call)
            if isinstance(outcome, Answer) or not outcome.passes:
                return outcome
            wait_us = self._pause(outcome.error, attempt)
            verdict = next_retry(
                policy,
                attempt,
                left_us=self._left_us(call),
                draw=self._draw,
                retry_after_us=wait_us,
            )
            if isinstance(verdict, GiveUp):
                return outcome
            stopped = self._wait(call, verdict.wait_us)
            if stopped is not None:
                return stopped
            self._counting.add(retries=1)
            attempt += 1

    def _attempt(self, call: Call) -> Answer | Failure:
        """One attempt and the redirects that stay on the source's own server."""
        try:
            url = self._target.url(call.request)
        except SourceRejected as error:
            return Failure(SourceRejected(str(error)), blameless=True)
        for _ in range(1 + MAX_REDIRECTS):
            refusal = self._token(call)
            if refusal is not None:
                return refusal
            reply = self._exchange(call, url)
            if isinstance(reply, Reply) and answer.meaning(reply.status) == "redirect":
                location = reply.headers.get("location", "")
                following = self._target.redirected(url, location)
                if following is not None:
                    url = following
                    continue
            outcome = self._judge(call, reply)
            if isinstance(outcome, Failure) and not outcome.blameless:
                self._counting.add(api_errors=1)
            return outcome
        self._counting.add(api_errors=1)
        return Failure(AnswerRefused(f"{call.shown}: over {MAX_REDIRECTS} redirects"))

    def _token(self, call: Call) -> Failure | None:
        """Wait for what one attempt needs of pace and quota, and take it."""
        while True:
            try:
                verdict = self._limits.take(call.request.cost, self._clock.now_us())
            except ValueError:
                text = (
                    f"{call.shown}: costs {call.request.cost:g} units, more than the whole quota "
                    f"{self._settings.quota}: ask for less at once"
                )
                return Failure(SourceRejected(text), blameless=True)
            except SourceUnavailable as error:
                return Failure(error, blameless=True)
            if isinstance(verdict, Admit):
                return None
            if verdict.wait_us >= self._left_us(call):
                wait_s = verdict.wait_us / SECOND_US
                text = (
                    f"{call.shown}: not asked: its rate, quota or pause allows it in {wait_s:.1f} s"
                )
                return Failure(SourceUnavailable(text, retry_after_s=wait_s), blameless=True)
            stopped = self._wait(call, verdict.wait_us)
            if stopped is not None:
                return stopped

    def _exchange(self, call: Call, url: str) -> Reply | NoReply:
        if call.stop is not None and call.stop.is_set():
            return NoReply("stopped", "stopped")
        call.asked = True
        left_s = max(self._left_us(call), 1) / SECOND_US
        reply = self._transport.get(url, self._headers(call), left_s, call.stop)
        n_bytes = len(reply.body) if isinstance(reply, Reply) else reply.n_bytes
        self._counting.add(api_calls=1, bytes_in=n_bytes)
        return reply

    def _headers(self, call: Call) -> Mapping[str, str]:
        found = {"User-Agent": self._settings.user_agent, "Accept": "*/*", **call.request.headers}
        found["Accept-Encoding"] = "gzip, deflate"
        if call.entry is not None:
            found |= call.entry.validators()
        secrets = call.request.secret_headers
        return found | {name: secret.reveal() for name, secret in secrets.items()}

    def _judge(self, call: Call, reply: Reply | NoReply) -> Answer | Failure:
        if isinstance(reply, NoReply):
            return unanswered(call, reply)
        if answer.meaning(reply.status) == "not_modified" and call.entry is not None:
            return self._not_modified(call, call.entry)
        if answer.meaning(reply.status) != "answer":
            return self._by_status(call, reply)
        try:
            answer.check_length(call.shown, reply.headers, len(reply.body))
        except AnswerRefused as error:
            return Failure(error, passes=True)
        try:
            encoding = reply.headers.get("content-encoding", "")
            plain = answer.unpack(call.shown, encoding, reply.body, self._settings.max_body_bytes)
            body = answer.check_body(call.shown, call.request.expects, plain, call.secrets)
        except AnswerRefused as error:
            return Failure(error)
        return self._accepted(call, reply, redact.redact_bytes(body, call.secrets))

    def _missing(self, call: Call, reply: Reply) -> Answer:
        """A 404 as an answer: not kept, for what is missing now may be there soon."""
        body = redact.redact_bytes(self._plain(call, reply), call.secrets)
        return Answer(reply.status, _shown_headers(call, reply), body, self._clock.now_us())

    def _plain(self, call: Call, reply: Reply) -> bytes:
        """The body of an error answer; as it came where it cannot be unpacked."""
        encoding = reply.headers.get("content-encoding", "")
        try:
            return answer.unpack(call.shown, encoding, reply.body, self._settings.max_body_bytes)
        except AnswerRefused:
            return reply.body

    def _by_status(self, call: Call, reply: Reply) -> Answer | Failure:
        if answer.is_missing(reply.status) and call.request.may_be_missing:
            return self._missing(call, reply)
        sample = answer.sample_of(self._plain(call, reply), call.secrets)
        wait_us = parse_retry_after(
            reply.headers.get("retry-after", ""),
            self._clock.now_us(),
            reply.headers.get("date", ""),
        )
        wait_s = None if wait_us is None else wait_us / SECOND_US
        error = answer.status_error(reply.status, call.shown, sample, wait_s)
        rejected = isinstance(error, SourceRejected)
        return Failure(
            error,
            passes=isinstance(error, SourceUnavailable),
            at_once=rejected and answer.condemns_the_source(reply.status),
        )

    def _accepted(self, call: Call, reply: Reply, body: bytes) -> Answer:
        now_us = self._clock.now_us()
        headers = _shown_headers(call, reply)
        if call.entry is not None and call.entry.body == body:
            # A server without validators sends the same for ever.
            return self._not_modified(call, self._cache.renew(call.entry, headers, now_us))
        if self._look_ttl_us > 0 and not call.request.whole:
            entry = self._cache.keep(call.request, headers, body, now_us)
            if entry is not None:
                self._hand_over(call, entry)
        return Answer(reply.status, headers, body, now_us)

    def _not_modified(self, call: Call, entry: Entry) -> Answer:
        now_us = self._clock.now_us()
        self._counting.add(not_modified=1)
        self._cache.validated(entry, now_us, taken=call.take_look)
        return self._of_entry(entry, now_us)

    def _of_entry(self, entry: Entry, at_us: int) -> Answer:
        """What a poll is told of a kept answer: all of it until its rows are durable."""
        if entry.settled:
            return Answer(304, entry.headers, b"", at_us, not_modified=True)
        self._handed[entry.name] = entry
        return Answer(200, entry.headers, entry.body, at_us)

    def _hand_over(self, call: Call, entry: Entry) -> None:
        self._handed[entry.name] = entry
        if call.take_look:
            self._cache.take(entry)

    def _pause(self, error: FetchError, attempt: int) -> int | None:
        """Let nobody ask while the server said so; returns how long, in microseconds."""
        too_many = error.status == 429  # noqa: PLR2004 (RFC 6585, 4)
        if error.retry_after_s is not None:
            wait_us = int(error.retry_after_s * SECOND_US)
        elif too_many:
            wait_us = min(self._retries.base_us << min(attempt, 62), self._retries.max_us)
            error.retry_after_s = wait_us / SECOND_US
        else:
            return None
        self._limits.pause(wait_us, self._clock.now_us(), whole_quota=too_many)
        return wait_us

    def _blame(self, call: Call, failure: Failure) -> None:
        if not failure.blameless:
            self._circuit.failed(self._clock.now_us(), at_once=failure.at_once)
        elif call.trial:
            self._circuit.not_asked()

    def _wait(self, call: Call, wait_us: int) -> Failure | None:
        started_us = self._clock.monotonic_us()
        stopped = self._clock.wait(call.stop or threading.Event(), wait_us / SECOND_US)
        self._counting.add(waited_s=(self._clock.monotonic_us() - started_us) / SECOND_US)
        if not stopped:
            return None
        return Failure(SourceUnavailable(f"{call.shown}: stopped"), blameless=True)

    def _left_us(self, call: Call) -> int:
        return call.deadline_us - self._clock.monotonic_us()


def _shown_headers(call: Call, reply: Reply) -> dict[str, str]:
    return {name: redact.redact(value, call.secrets) for name, value in reply.headers.items()}
