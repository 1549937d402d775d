"""The forms of a page, filled in and sent as a browser without script does it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

from tests.console.conftest import Browser


@dataclass
class Form:
    """A form as it stands on a page.

    Attributes:
        fields: what it would send if nobody touched it.
        names: every field, those that a person fills in included.
    """

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)


class _Forms(HTMLParser):
    """Collects forms."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a form, or note a field of it."""
        given = dict(attrs)
        if tag == "form":
            self._form = Form(given.get("action") or "")
            self.found.append(self._form)
        elif tag in ("input", "textarea", "select") and self._form is not None:
            self._note(self._form, given)

    def handle_endtag(self, tag: str) -> None:
        """End a form."""
        if tag == "form":
            self._form = None

    def _note(self, form: Form, given: dict[str, str | None]) -> None:
        name = given.get("name") or ""
        form.names.append(name)
        if given.get("type") not in ("radio", "checkbox") or "checked" in given:
            form.fields[name] = given.get("value") or ""


def forms_of(page: str) -> dict[str, Form]:
    """The forms of a page by the last part of where they go; of several alike the first."""
    parser = _Forms()
    parser.feed(page)
    found: dict[str, Form] = {}
    for form in parser.found:
        found.setdefault(form.action.rpartition("/")[2], form)
    return found


def press(browser: Browser, page: str, action: str, **filled_in: str) -> httpx.Response:
    """Fill in the form of a page that goes there, and send it. Only fields that the form has can be filled in."""
    form = forms_of(page)[action]
    assert filled_in.keys() <= set(form.names), form.names
    answer: httpx.Response = browser.client.post(form.action, data=form.fields | filled_in, follow_redirects=False)
    return answer


def words_of(page: str) -> str:
    """What people read on a page, in one line."""
    text = re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", page, flags=re.DOTALL)
    text = re.sub(r"</?(b|i|code|span|q|a|time|del|ins)\b[^>]*>", "", text)
    return " ".join(re.sub(r"<[^>]+>", " ", text).replace("&#39;", "'").replace("&amp;", "&").split())
