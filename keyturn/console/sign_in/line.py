"""Calls to the OpenID provider. httpx ends here: every failure comes back as one of keyturn's."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib.metadata import version
from typing import Any, TypeVar

import httpx

from keyturn.errors import KeyturnError, UnavailableError

T = TypeVar("T")
_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_NOTHING_KEPT = httpx.Limits(max_keepalive_connections=0)  # sign-ins are so rare that a connection would be stale
_REMEDY = "Try again in a moment. If it goes on, check KEYTURN_CONSOLE__OIDC__ISSUER and the provider itself."


class Line:
    """Calls to one provider, from any thread: within seconds, and following no redirect.

    Args:
        issuer: its address.
    """

    def __init__(self, issuer: str) -> None:
        self.subject = f"OpenID provider at {httpx.URL(issuer).netloc.decode()}"

    @cached_property
    def http(self) -> httpx.Client:
        """What carries the calls; made at the first one, since it reads certificates."""
        agent = {"User-Agent": f"keyturn/{version('keyturn')}", "Accept": "application/json"}
        return httpx.Client(timeout=_TIMEOUT, limits=_NOTHING_KEPT, follow_redirects=False, headers=agent)

    def read(self, url: str) -> dict[str, Any]:
        """A JSON document that the provider publishes.

        Raises:
            UnavailableError: there is none to be had.
        """
        return self.told(lambda: self._object(url))

    def told(self, ask: Callable[[], T]) -> T:
        """What asking gives.

        Raises:
            UnavailableError: no answer, a refusal, or none that can be read.
        """
        try:
            return ask()
        except httpx.HTTPStatusError as error:
            failure = self._failure(f"answered {error.response.status_code}")
        except httpx.HTTPError as error:
            failure = self._failure(f"gave no answer ({type(error).__name__})")
        except ValueError:
            failure = self._failure("gave an answer that cannot be read")
        # Raised here and not above, so that it does not drag along httpx's error, which holds the request's headers.
        raise failure

    def _object(self, url: str) -> dict[str, Any]:
        answer = self.http.get(url).raise_for_status().json()
        if not isinstance(answer, dict):
            raise ValueError  # noqa: TRY004  as JSON that cannot be read
        return answer

    def _failure(self, problem: str) -> KeyturnError:
        return UnavailableError(self.subject, problem, _REMEDY)
