"""Where a request goes: the one place that fills a template, and which hosts may be reached.

Pure.  The filled URL goes onto the wire and nowhere else; what is shown is `Target.shown`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from wildfire_ingest.errors import ConfigError, SourceRejected
from wildfire_ingest.exchange import Request

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NOT_IN_A_PATH = re.compile(r"[\x00-\x20\x7f#\\]")
_DOTS = re.compile(r"(?i)(^|/)(\.|%2e){1,2}(/|$)")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Origin(NamedTuple):
    """What a redirect must keep."""

    scheme: str
    host: str
    port: int


class Target:
    """One source's server."""

    def __init__(self, base_url: str, *, allow_insecure_http: bool = False) -> None:
        """Raises ConfigError for a base_url that must not be used."""
        self._base = base_url.rstrip("/")
        self.origin = _checked_origin(base_url)
        self._anywhere = allow_insecure_http
        self._is_loopback = _is_loopback_name(self.origin.host)
        if self.origin.scheme == "http" and not (self._anywhere or self._is_loopback):
            raise ConfigError(
                f"base_url {base_url!r} is plain http to another machine: use https, or say "
                "allow_insecure_http: true"
            )

    def shown(self, request: Request) -> str:
        """The request for a log or an error: secrets by their names."""
        return f"{self._base}{request.template}"

    def url(self, request: Request) -> str:
        """The request for the wire, with its secrets.  Raises SourceRejected for a bad path."""

        def fill(match: re.Match[str]) -> str:
            if match[1] not in request.secrets:
                raise SourceRejected(
                    f"{self.shown(request)}: no value for {match[0]}; set the secret it names"
                )
            return quote(request.secrets[match[1]].reveal(), safe="", errors="surrogatepass")

        template = request.template
        if not template.startswith("/") or template.startswith("//"):
            raise SourceRejected(f"path {template!r} must begin with one '/'")
        if _NOT_IN_A_PATH.search(template):
            raise SourceRejected(f"path {template!r} has characters that must be quoted")
        filled = _PLACEHOLDER.sub(fill, template)
        if _DOTS.search(filled.partition("?")[0]):
            raise SourceRejected(f"path {template!r} leaves its folder by a '.' or '..' part")
        return self._base + filled

    def redirected(self, url: str, location: str) -> str | None:
        """The next URL of a redirect, or None where it leaves scheme, host or port."""
        try:
            following = urljoin(url, location)
            parts = urlsplit(following)
            same = _origin_of(following) == self.origin and not parts.username
        except ValueError:
            return None
        return following.partition("#")[0] if same else None

    def may_connect(self, address: str) -> bool:
        """Whether this IP address may be reached for this source (SSRF, DNS rebinding)."""
        ip = _embedded(ipaddress.ip_address(address.partition("%")[0]))
        if self._anywhere:
            return True
        if self._is_loopback:
            return ip.is_loopback
        return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _checked_origin(base_url: str) -> Origin:
    try:
        parts = urlsplit(base_url)
        origin = _origin_of(base_url)
    except ValueError:
        raise ConfigError(f"base_url {base_url!r} is not a URL") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "base_url holds a user name or password: give secrets as ${ENV:NAME} in custom_params"
        )
    if origin.scheme not in _DEFAULT_PORTS or not origin.host:
        raise ConfigError(f"base_url {base_url!r} must be https://host, found {origin.scheme!r}")
    if parts.query or parts.fragment or _NOT_IN_A_PATH.search(base_url):
        raise ConfigError(f"base_url {base_url!r} must end with its path: no query, no '#'")
    return origin


def _origin_of(url: str) -> Origin:
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    return Origin(parts.scheme.lower(), (parts.hostname or "").lower(), port)


def _is_loopback_name(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _embedded(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, NAT64), which is where it leads."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
