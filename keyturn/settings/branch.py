"""What branches of the settings are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict

LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})


def _safe(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.scheme != "https" and url.host not in LOOPBACK:
        raise ValueError("use https: secrets travel there, and http is only for 127.0.0.1 and localhost")
    if url.username or url.password:
        raise ValueError("an address holds no user name or password: give them in the settings made for them")
    return url


SafeUrl = Annotated[AnyHttpUrl, AfterValidator(_safe)]


class Branch(BaseModel):
    """A part of the settings: frozen, and without strangers."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
