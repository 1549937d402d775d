"""Query strings: page numbers, and lists in any of the usual spellings."""

from starlette.requests import Request

from keyturn.sandbox.twins.stackone.errors import ApiError

PAGE_SIZE = 25
_MAX_PAGE_SIZE = 100


def page_of(request: Request) -> tuple[int, int]:
    """`page` (from 1) and `page_size` (25, at most 100)."""
    number, size = _number(request, "page", 1), _number(request, "page_size", PAGE_SIZE)
    if number < 1 or not 1 <= size <= _MAX_PAGE_SIZE:
        raise ApiError(400, f"page starts at 1, page_size is 1 to {_MAX_PAGE_SIZE}")
    return number, size


def values(request: Request, *names: str) -> set[str]:
    """The values of a list parameter, given as `a=1&a=2`, `a[]=1&a[]=2` or `a=1,2`."""
    spellings = [spelling for name in names for spelling in (name, f"{name}[]")]
    given = [value for spelling in spellings for value in request.query_params.getlist(spelling)]
    return {part.strip() for value in given for part in value.split(",") if part.strip()}


def _number(request: Request, name: str, otherwise: int) -> int:
    text = request.query_params.get(name, str(otherwise))
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, f"{name} must be a whole number")
    return int(text)
