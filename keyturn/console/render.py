"""Pages from templates, with what every page needs. Everything is escaped; nothing is cached by anybody."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from keyturn.console import words
from keyturn.console.access import RULES

_STATIC = files("keyturn.console") / "static"


def page(
    request: Request,
    template: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    /,
    **values: object,
) -> HTMLResponse:
    """A page.

    Templates see `visitor` (or `None`), `request`, `now`, `may(method, path)`, and the values that are given.
    """
    visitor = getattr(request.state, "visitor", None)

    def may(method: str, path: str) -> bool:
        return visitor is not None and RULES[method, path].admits(visitor.person)

    ports = request.app.state.ports
    always = {"visitor": visitor, "request": request, "now": ports.clock.now(), "may": may, "settings": ports.settings}
    html = environment().get_template(template).render(always | values)
    return HTMLResponse(html, status, headers)


@functools.cache
def environment() -> Environment:
    """The templates and their filters."""
    made = Environment(
        loader=PackageLoader("keyturn.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["iso"] = _iso
    made.filters["utc"] = _utc
    for named in (words.said, words.tone, words.lasting, words.relative, words.remaining, words.asked):
        made.filters[named.__name__] = named
    made.globals["asset"] = asset
    return made


@functools.cache
def asset(name: str) -> str:
    """Address of a static file. It changes with the file, so that no browser keeps an old one beside a new page."""
    digest = hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:10]}"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _utc(moment: datetime) -> str:
    """To the minute; the page's script shows it in the viewer's own zone."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
