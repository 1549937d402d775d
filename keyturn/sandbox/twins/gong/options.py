"""Switches for what is unknown about Gong."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from keyturn.sandbox.twins.store import Options

TokenErrorBody = Literal["oauth", "gong_envelope", "text", "code_first", "ip_rejected"]


class GongOptions(Options):
    """What may be switched at start (`--option name=value`) and by POST /_twin/options.

    Attributes:
        token_error_body: How the token endpoint refuses. `oauth`: RFC 6749 bodies; `gong_envelope`: the API's own
            envelope; `text`: plain text; `code_first`: RFC 6749 bodies, but the code or refresh token is looked at
            before the client, so that a bogus code says nothing about the secret; `ip_rejected`: 403 to everything.
        ip_rejected_except: Address that `ip_rejected` still admits (StackOne's egress); empty for none.
        missing_scope_status: Answer to an API call whose token lacks the scope: 401 as seen, 403 as declared.
        wrong_host: Answer to an API call that is not at the customer's base URL.
        enforce_trusted_ips: Check the caller's address against the integration's two lists.
        end_graces: False lets an old secret work on after its grace, which should not happen at the real Gong.
        show_secret: Whether the list shows the first secret again and again, or once. A rotated one is shown once.
        calls_per_second, calls_per_day: API limits of the company.
        users_total: Users in the company, served 100 to a page.
    """

    token_error_body: TokenErrorBody = "oauth"  # noqa: S105 - the name of a shape
    ip_rejected_except: str = ""
    missing_scope_status: Annotated[Literal[401, 403], BeforeValidator(int)] = 403
    wrong_host: Literal["forbidden", "revoked"] = "forbidden"
    enforce_trusted_ips: bool = False
    end_graces: bool = True
    show_secret: Literal["again", "once"] = "again"  # noqa: S105 - a word, not a secret
    calls_per_second: Annotated[int, Field(ge=0)] = 3
    calls_per_day: Annotated[int, Field(ge=0)] = 10_000
    users_total: Annotated[int, Field(ge=0)] = 230

    @property
    def shows_once(self) -> bool:
        """Whether even the first secret is shown once only."""
        return self.show_secret != "again"  # noqa: S105 - as above
