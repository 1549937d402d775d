"""Lint of a pair of client id and client secret: what is wrong with it by the look of it."""

from __future__ import annotations

from keyturn.domain.credential import Credential

_SHORTEST_SECRET = 16
_LONGEST = 4096


def faults_of_pair(credential: Credential) -> list[str]:
    """Everything that is wrong by itself, as clauses that never quote the secret.

    Gong publishes no format for either value, so only what no format could allow is refused: empty, white space,
    characters HTTP Basic cannot carry, a colon in the id (RFC 7617 2), both alike, and a secret shorter than its id
    and shorter than any generated secret, which is what swapping the two looks like.
    """
    client_id, secret = credential.client_id, credential.reveal()
    faults = _faults_of("Client ID", client_id) + _faults_of("Client Secret", secret)
    if ":" in client_id:
        faults.append("the Client ID contains a colon, which HTTP Basic authentication cannot carry")
    if client_id and client_id == secret:
        faults.append("Client ID and Client Secret are the same text")
    elif secret and len(secret) < _SHORTEST_SECRET and len(client_id) > len(secret):
        faults.append("Client ID and Client Secret look swapped: the secret is the shorter one")
    return faults


def _faults_of(name: str, value: str) -> list[str]:
    if not value.strip():
        return [f"the {name} is empty"]
    faults = []
    if any(c.isspace() for c in value):
        faults.append(f"the {name} contains white space, perhaps from copying")
    if not value.isascii() or not value.isprintable():
        faults.append(f"the {name} contains characters that no generated value has")
    if len(value) > _LONGEST:
        faults.append(f"the {name} is longer than {_LONGEST} characters")
    return faults
