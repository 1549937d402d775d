"""Lint of Gong's form: links, redirect URIs, contact addresses and trusted IPs."""

from __future__ import annotations

from collections.abc import Iterator

from keyturn.domain import addresses
from keyturn.domain.finding import Finding, error, warning
from keyturn.domain.manifest import REDIRECT_URI, GongForm

_LINKS = ("privacy_policy_url", "terms_url", "help_url", "authorization_page_url")
_ASK_STACKONE = "Ask StackOne support for its egress addresses; they belong into both lists."


def form_findings(form: GongForm) -> Iterator[Finding]:
    """Everything to say about the form, besides its scopes and logo."""
    yield from _redirect_uris(form)
    yield from _links(form)
    yield from _contacts(form)
    yield from _domains(form)
    yield from _trusted_ips(form)


def links_of(form: GongForm) -> dict[str, str]:
    """The form's links by the dotted path of their field, where given."""
    given = {f"gong.{name}": getattr(form, name) for name in _LINKS}
    return {where: link for where, link in given.items() if link is not None}


def _redirect_uris(form: GongForm) -> Iterator[Finding]:
    remedy = f"Write exactly {REDIRECT_URI}"
    if not form.redirect_uris:
        yield error("redirect-uri", "gong.redirect_uris", "StackOne's callback is missing", remedy)
    for index, given in enumerate(form.redirect_uris):
        differences = addresses.redirect_differences(given, REDIRECT_URI)
        if not differences:
            continue
        message = f"{given!r} is not StackOne's callback: {', '.join(differences)}"
        where = f"gong.redirect_uris.{index}"
        if REDIRECT_URI in form.redirect_uris:
            message += "; Gong may send authorization codes to every redirect URI"
            yield warning("redirect-uri", where, message, "Remove it unless somebody needs it.")
        else:
            yield error("redirect-uri", where, message, remedy)


def _links(form: GongForm) -> Iterator[Finding]:
    for where, link in links_of(form).items():
        if fault := addresses.link_fault(link):
            yield error("link", where, f"{link!r} {fault}", "Give an https link that people can open.")


def _contacts(form: GongForm) -> Iterator[Finding]:
    if not form.contact_emails:
        yield error("contact-email", "gong.contact_emails", "nobody can be contacted", "Give at least one address.")
    for index, email in enumerate(form.contact_emails):
        where = f"gong.contact_emails.{index}"
        if fault := addresses.email_fault(email):
            yield error("contact-email", where, f"{email!r} {fault}", "Write name@domain.")
        elif form.domains and not any(addresses.is_inside(email, domain) for domain in form.domains):
            message = f"{email} is outside the domains {', '.join(form.domains)}"
            yield error("contact-email", where, message, "Use an address of the organisation, or add its domain.")


def _domains(form: GongForm) -> Iterator[Finding]:
    if not form.domains:
        yield error("domain", "gong.domains", "no domain is given", "Give the domains of the organisation.")
    for index, domain in enumerate(form.domains):
        if fault := addresses.domain_fault(domain):
            remedy = "Write the bare name, as in acme.com: no https, no @, no wildcard, no final dot."
            yield error("domain", f"gong.domains.{index}", f"{domain!r} {fault}", remedy)


def _trusted_ips(form: GongForm) -> Iterator[Finding]:
    lists = {"access_token": form.trusted_ips.access_token, "refresh_token": form.trusted_ips.refresh_token}
    for name, entries in lists.items():
        where = f"gong.trusted_ips.{name}"
        if not entries:
            message = "no trusted IPs are given, and Gong asks for them"
            yield warning("trusted-ips", where, message, _ASK_STACKONE)
        for index, entry in enumerate(entries):
            yield from _trusted_ip(f"{where}.{index}", entry)
    if all(lists.values()):
        yield from _one_sided(lists)


def _trusted_ip(where: str, entry: str) -> Iterator[Finding]:
    if fault := addresses.ip_fault(entry):
        yield error("trusted-ips", where, f"{entry!r} {fault}", "Write one IPv4 or IPv6 address a line, no ranges.")
    elif not addresses.is_public_ip(entry):
        yield warning("trusted-ips", where, f"no call from the internet comes from {entry}", _ASK_STACKONE)


def _one_sided(lists: dict[str, tuple[str, ...]]) -> Iterator[Finding]:
    for name, other in (("access_token", "refresh_token"), ("refresh_token", "access_token")):
        for index, entry in enumerate(lists[name]):
            if entry not in lists[other]:
                where = f"gong.trusted_ips.{name}.{index}"
                remedy = "Gong checks one list at calls and the other at refreshes: put it into both."
                yield warning("trusted-ips", where, f"{entry} is not in {other}", remedy)
