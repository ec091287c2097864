"""When the answer to a request changed last: what Last-Modified and 304 are decided by.

The first moment at which a content was seen, or a second after the one before it where that is
later: so a client that asks "modified since?" never misses a change, not even two in one second
(then the stamp lies in the future, as it does in reality).  Seconds since the epoch.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

MAX_PATHS = 4096


class Versions:
    """The last content of each path, as a digest.  Thread-safe; the paths not asked for the
    longest time are forgotten.
    """

    def __init__(self, max_paths: int = MAX_PATHS) -> None:
        self._max_paths = max_paths
        self._lock = threading.Lock()
        self._last: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def changed_s(self, path: str, digest: str, now_s: int) -> int:
        """The stamp of this content."""
        with self._lock:
            before = self._last.pop(path, None)
            if before is None:
                changed_s = now_s
            else:
                changed_s = before[1] if before[0] == digest else max(now_s, before[1] + 1)
            self._last[path] = (digest, changed_s)
            while len(self._last) > self._max_paths:
                self._last.popitem(last=False)
        return changed_s


def digest_of(features: Iterable[bytes]) -> str:
    """The same for the same features in the same order."""
    digest = hashlib.blake2b(digest_size=16)
    for feature in features:
        digest.update(feature)
    return digest.hexdigest()


def is_known(if_modified_since: str, changed_s: int) -> bool:
    """Whether the client has this version already."""
    try:
        return parsedate_to_datetime(if_modified_since).timestamp() >= changed_s
    except (ValueError, TypeError):
        return False
