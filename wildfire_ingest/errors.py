"""What can go wrong, whose fault it is, and whether the same call can succeed later.

    IngestError
    ├── ConfigError                     ours: stream_config.yaml or the environment
    ├── FetchError                      the source's
    │   ├── SourceUnavailable           passes: outage, time-out, 5xx, 429 (retry_after_s)
    │   ├── AnswerRefused               the body is not an answer although the status says so
    │   ├── SourceRejected              permanent until the configuration changes (bad key)
    │   └── CircuitOpen                 not asked: the circuit is open until retry_after_s
    ├── SpoolError                      this machine's
    │   ├── SpoolBusy                   another process owns this source's spool
    │   ├── SpoolCorrupt                the file does not pass its check
    │   └── SpoolFull                   no room: limits or disk
    └── DeliveryError                   the broker's
        ├── BrokerUnavailable           passes: transport, time-out, no leader, coordinator
        ├── OutcomeUnknown              a commit without an answer: reconcile decides
        ├── ProducerFenced              ambiguous: another owner or our own transaction time-out
        ├── Superseded                  another owner's newer claim: stop
        ├── DeliveryDenied              authentication, ACL, unknown topic: a person must act
        └── RecordRefused               the broker refuses a record (names its batch)

Programming errors stay ValueError and TypeError.
"""

from __future__ import annotations


class IngestError(Exception):
    """Any error of this package that a caller can expect."""


class ConfigError(IngestError):
    """The configuration cannot be used as it is; the text says where and why."""


class FetchError(IngestError):
    """A poll that brought no answer.  Its text never contains a secret."""

    retriable = True

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        sample: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.sample = sample
        """The body's first characters, redacted and escaped, where there was one."""


class SourceUnavailable(FetchError):
    """The source did not answer, or answered that it cannot now."""


class AnswerRefused(FetchError):
    """A body that is not an answer: HTML, an error text, truncated, an unknown header."""


class SourceRejected(FetchError):
    """The source refuses this request for good: a bad key, a bad area."""

    retriable = False


class CircuitOpen(FetchError):
    """The source's circuit is open; nothing was asked."""


class SpoolError(IngestError):
    """The spool cannot do what was asked."""


class SpoolBusy(SpoolError):
    """Another process owns the spool: the source is already running."""


class SpoolCorrupt(SpoolError):
    """The spool's file fails its check."""


class SpoolFull(SpoolError):
    """The spool's limits or the disk leave no room for another load."""


class DeliveryError(IngestError):
    """Something between us and the broker's log."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class BrokerUnavailable(DeliveryError):
    """The broker does not answer now; the same call can succeed later."""


class OutcomeUnknown(DeliveryError):
    """A commit was asked for and not answered: only reading the offset record decides."""


class ProducerFenced(DeliveryError):
    """The producer's epoch is over: another owner's, or the broker's own transaction time-out."""


class Superseded(DeliveryError):
    """Another owner claimed the source after us: stop, keep the spool."""

    def __init__(self, message: str, *, epoch: int, code: str = "") -> None:
        super().__init__(message, code=code)
        self.epoch = epoch


class DeliveryDenied(DeliveryError):
    """Wrong password, missing ACL, unknown topic: nothing is dead-lettered for it."""


class RecordRefused(DeliveryError):
    """The broker refuses a record; librdkafka names its whole batch."""
