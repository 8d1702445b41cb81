"""Which host names a request may be meant for (against DNS rebinding).

A page of another site can point a name of its own at 127.0.0.1 and then talk to this server as
if it were its own. Its requests still carry that name in `Host`, so it is enough to know ours.
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
    """Refuse a request that was meant for another host.

    Args:
        hosts: the values of its `Host` headers.
        http_version: such as "1.1". Programs that speak 1.0, health checks among them, may name
            no host; every browser does.
        allowed: names beside those of this machine, as `checked_name` gives them.

    Raises:
        BadRequest: the number of `Host` headers is wrong (RFC 9112, 3.2).
        WrongHost: the name is none of ours.
    """
    if not hosts and http_version == "1.0":
        return
    if len(hosts) != 1:
        raise BadRequest("A request has to name its host exactly once.")
    name = _name_in(hosts[0])
    if name is None or not (is_loopback(name) or any(_fits(name, rule) for rule in allowed)):
        raise WrongHost(
            "This server does not answer to that host name. To allow it, start the server with "
            "--allow-host and the name."
        )


def checked_name(name: str) -> str:
    """A host name to allow, in the form that `check_host` compares.

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
    """An origin whose pages may ask, in the form that browsers send it.

    Args:
        origin: such as "https://example.org" or "http://localhost:3000", or "*" for all.

    Raises:
        UsageError: it is something else, such as an address with a path.
    """
    lowered = origin.strip().lower()
    if lowered == "*":
        return lowered
    found = _ORIGIN.fullmatch(lowered)
    if found is None:
        raise UsageError(
            f"--cors takes an origin: scheme, host and perhaps port, such as "
            f"https://example.org, without a path; got '{origin}'."
        )
    # Browsers leave out the port that the scheme has anyway.
    usual = {"http": ":80", "https": ":443"}.get(found["scheme"])
    return lowered.removesuffix(usual) if usual and found["port"] == usual else lowered


def is_loopback(name: str) -> bool:
    """Whether a host name or an IP address is this machine's own."""
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
    """The name without its port, lower case; None where that is no host."""
    text = host.decode("latin-1").lower()
    found = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::([0-9]*))?", text)
    if found is None:
        return None
    literal, name, _ = found.groups()
    if literal is None:
        return name
    try:
        return str(ipaddress.ip_address(literal))
    except ValueError:
        return None
