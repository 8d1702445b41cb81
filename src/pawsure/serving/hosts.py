"""Which host names and origins are accepted.

Against DNS rebinding: another site can point one of its names to 127.0.0.1, and its pages can
then call this server. Their requests have that name in `Host`, so other names are refused.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from pawsure.errors import UsageError
from pawsure.serving.refusals import BadRequest, WrongHost

_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?P<port>:[0-9]+)?"
)


def check_host(hosts: Sequence[bytes], http_version: str, allowed: Sequence[str]) -> None:
    """Refuse a request to another host.

    Args:
        hosts: the values of its `Host` headers.
        http_version: such as "1.1". HTTP/1.0, which some health checks speak, needs no `Host`;
            every browser sends one.
        allowed: names beside those of this machine, as returned by `checked_name`.

    Raises:
        BadRequest: there is no `Host` header, or several (RFC 9112, 3.2).
        WrongHost: the name is not accepted.
    """
    if not hosts and http_version == "1.0":
        return
    if len(hosts) != 1:
        raise BadRequest("A request must have exactly one Host header.")
    name = _name_in(hosts[0])
    if name is None or not (is_loopback(name) or any(_fits(name, rule) for rule in allowed)):
        raise WrongHost(
            "This server does not accept that host name. To allow it, start the server with "
            "--allow-host NAME."
        )


def checked_name(name: str) -> str:
    """A host name to allow, normalized for `check_host`.

    Args:
        name: such as "pets.example.org", "*.example.org", an IP address, or "*" for every name.

    Raises:
        UsageError: it is something else, such as an address with a scheme or a port.
    """
    lowered = name.strip().lower()
    if lowered == "*" or _NAME.fullmatch(lowered):
        return lowered
    try:
        return str(ipaddress.ip_address(lowered.strip("[]")))
    except ValueError as exc:
        raise UsageError(
            f"--allow-host takes a host name, such as pets.example.org or *.example.org, "
            f"without scheme, port or path; got '{name}'."
        ) from exc


def checked_origin(origin: str) -> str:
    """An origin to allow, in the form that browsers send.

    Args:
        origin: such as "https://example.org" or "http://localhost:3000", or "*" for all.

    Raises:
        UsageError: it is something else, such as a URL with a path.
    """
    lowered = origin.strip().lower()
    if lowered == "*":
        return lowered
    match = _ORIGIN.fullmatch(lowered)
    if match is None:
        raise UsageError(
            f"--cors takes an origin: scheme, host and optional port, such as "
            f"https://example.org, without a path; got '{origin}'."
        )
    # Browsers leave out the default port.
    default = {"http": ":80", "https": ":443"}.get(match["scheme"])
    return lowered.removesuffix(default) if default and match["port"] == default else lowered


def is_loopback(name: str) -> bool:
    """Whether a host name or IP address is a loopback address."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _fits(name: str, rule: str) -> bool:
    if rule.startswith("*"):
        return rule == "*" or name.endswith(rule[1:])
    return name == rule


def _name_in(host: bytes) -> str | None:
    """The name in lower case, without its port; None if the value is malformed."""
    text = host.decode("latin-1").lower()
    match = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::[0-9]*)?", text)
    if match is None:
        return None
    literal, name = match.groups()
    if literal is None:
        return name
    try:
        return str(ipaddress.ip_address(literal))
    except ValueError:
        return None
