"""What is wrong with a link, a domain, an email or an IP address by the look of it. Nothing is looked up.

Every function returns a clause that says what is wrong, or an empty text.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE)
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")  # RFC 5322 3.2.3, unquoted
_LONGEST_DOMAIN = 253
_LONGEST_LINK = 2048


def link_fault(link: str) -> str:
    """What is wrong with a link for people: it has to be an https address of a public host."""
    parts = _split(link)
    if parts is None or not link.isprintable() or " " in link:
        return "is not a link"
    if parts.scheme == "http":
        return "is an http link"
    if parts.scheme != "https" or not parts.hostname:
        return "is not an https link"
    if "@" in parts.netloc:
        return "carries a user name"
    if len(link) > _LONGEST_LINK:
        return f"is longer than {_LONGEST_LINK} characters"
    return "has no usable host name" if domain_fault(parts.hostname) else ""


def domain_fault(domain: str) -> str:
    """What is wrong with a domain name; names with letters beyond ASCII are judged by their IDNA form."""
    try:
        ascii_form = domain.encode("idna").decode()
    except UnicodeError:
        return "is not a domain name"
    labels = ascii_form.split(".")
    if len(ascii_form) > _LONGEST_DOMAIN or not all(_LABEL.fullmatch(label) for label in labels):
        return "is not a domain name"
    if len(labels) == 1 or labels[-1].isdigit():
        return "is not a public domain name"
    return ""


def email_fault(email: str) -> str:
    """What is wrong with an email address."""
    local, at, domain = email.rpartition("@")
    well_formed = at and _LOCAL_PART.fullmatch(local) and not domain_fault(domain)
    return "" if well_formed and ".." not in f".{local}." else "is not an email address"


def is_inside(email: str, domain: str) -> bool:
    """Whether an email address belongs to a domain or to one below it."""
    host, domain = email.rpartition("@")[2].lower(), domain.lower()
    return host == domain or host.endswith(f".{domain}")


def ip_fault(address: str) -> str:
    """What is wrong with an entry of Gong's trusted IPs, which takes one address a line."""
    if "/" in address or re.fullmatch(r"[\d.]+\s*-\s*[\d.]+", address):
        return "is a range"
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "is not an IP address"
    return "is not an IP address" if "%" in str(parsed) else ""


def is_public_ip(address: str) -> bool:
    """Whether calls from the internet can come from this (well-formed) address."""
    return ipaddress.ip_address(address).is_global


def redirect_differences(given: str, right: str) -> list[str]:
    """How a redirect URI differs from the right one, as clauses; empty only when they are the same text."""
    if given == right:
        return []
    if given.strip() != given:
        return ["it has white space around it", *redirect_differences(given.strip(), right)]
    ours, theirs = _split(right), _split(given)
    if ours is None or theirs is None or not theirs.netloc:
        return ["it is not a link"]
    found = [*_scheme(theirs, ours), *_host(theirs, ours), *_path(theirs, ours)]
    if theirs.query or theirs.fragment or given.endswith(("?", "#")):
        found.append("it goes on after the path")
    return found or ["it is written in another way"]


def _split(link: str) -> SplitResult | None:
    try:
        parts = urlsplit(link)
        _ = parts.port  # parsed when asked for, and then it may fail
    except ValueError:
        return None
    return parts


def _scheme(given: SplitResult, right: SplitResult) -> list[str]:
    return [] if given.scheme == right.scheme else [f"it begins with {given.scheme or 'nothing'}, not {right.scheme}"]


def _host(given: SplitResult, right: SplitResult) -> list[str]:
    if given.netloc == right.netloc:
        return []
    if given.netloc.lower() == right.netloc.lower():
        return ["the host is not in lower case"]
    return [f"the host is {given.netloc}, not {right.netloc}"]


def _path(given: SplitResult, right: SplitResult) -> list[str]:
    if given.path == right.path:
        return []
    found = ["it ends with a slash"] if given.path.endswith("/") else []
    path = given.path.rstrip("/")
    if path == right.path:
        return found
    if path.lower() == right.path.lower():
        return [*found, "the path is not in lower case"]
    return [*found, f"the path is {path or 'missing'}, not {right.path}"]
