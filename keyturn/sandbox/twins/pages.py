"""HTML pages of the twins: server-rendered, no script, nothing fetched from elsewhere."""

from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}


def page(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """A page from `templates/`, never cached."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(**values), status, _HEADERS)


def message(vendor: str, title: str, text: str, status: int = 200) -> HTMLResponse:
    """A page that only says something."""
    return page("message.html", status, vendor=vendor, title=title, text=text)


def see_other(path: str) -> RedirectResponse:
    """Send the browser on after a form was taken."""
    return RedirectResponse(path, 303, _HEADERS)


def local_path(target: str, otherwise: str) -> str:
    """A path on this twin, or `otherwise` if somebody tries to lead the browser elsewhere."""
    parts = urlsplit(target)
    is_local = target.startswith("/") and not parts.scheme and not parts.netloc and "\\" not in target
    return target if is_local else otherwise


def text(form: FormData, name: str) -> str:
    """A form field without surrounding white space; empty if absent or a file."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def lines(form: FormData, name: str) -> list[str]:
    """The lines of a text area that are not blank."""
    return [line.strip() for line in text(form, name).splitlines() if line.strip()]


def many(form: FormData, name: str) -> list[str]:
    """All values of a field that may be given several times."""
    return [value for value in form.getlist(name) if isinstance(value, str)]
