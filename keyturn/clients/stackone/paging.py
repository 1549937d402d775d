"""All pages of a StackOne list, whichever of its ways of paging the list uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from keyturn.clients.answer import Call
from keyturn.clients.stackone.wire import Item, Listing, read
from keyturn.clients.transport import Transport
from keyturn.errors import VendorRefusedError

PAGE_SIZE: Final = 25
"""StackOne's default. Where nothing else says so, a page with fewer rows is the last."""
MOST_PAGES: Final = 2000


def all_rows(transport: Transport, model: type[Listing[Item]], call: Call) -> list[Item]:
    """All rows of a list, each once. `call` asks for the first page.

    The first page is asked for without a number, because the documentation does not say whether counting begins at 0
    or 1. Where an answer has neither a cursor nor its own number, 1, 2, … are asked for; a repeated page does no harm.

    Raises:
        VendorRefusedError: the pages do not end.
    """
    rows: dict[str, Item] = {}
    position: dict[str, str | int] = {}
    for turn in range(MOST_PAGES):
        answer = transport.fetch(replace(call, query={**call.query, **position}))
        page = read(model, answer, transport.subject)
        new = {row.model_dump_json(): row for row in page.data}.keys() - rows.keys()
        rows |= {row.model_dump_json(): row for row in page.data}
        if _is_last(page, len(rows)) or (turn > 1 and not new):
            return list(rows.values())
        position = _next(page, turn)
    problem = f"answers {call} without end: {MOST_PAGES} pages and more to come"
    raise VendorRefusedError(transport.subject, problem, "Report it to StackOne's support.")


def _is_last(page: Listing[Item], seen: int) -> bool:
    if page.next:
        return False
    if page.total is not None:
        return not page.data or seen >= page.total
    return len(page.data) < (page.page_size or PAGE_SIZE)


def _next(page: Listing[Item], turn: int) -> dict[str, str | int]:
    if page.next:
        return {"next": page.next}
    return {"page": page.page + 1 if page.page is not None else turn + 1}
