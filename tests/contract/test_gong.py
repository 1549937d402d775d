"""What keyturn relies on at Gong's token endpoint, asked of the twin and, with credentials in the environment, of Gong.

`KEYTURN_CONTRACT_GONG_CLIENT_ID` and `KEYTURN_CONTRACT_GONG_CLIENT_SECRET` name a right pair. Nothing is spent, because
the code is bogus. Wrong secrets are tried on purpose, so take a pair of a developer instance.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pytest

from keyturn.clients.clock import SystemClock
from keyturn.clients.gong.token_endpoint import GongTokenEndpoint, token_endpoint
from keyturn.domain.credential import Credential, ProbeOutcome
from keyturn.ports import TokenEndpoint
from keyturn.settings import GongSettings

SHAPES = ["oauth", "gong_envelope", "text", "code_first", "ip_rejected"]


@dataclass
class Party:
    """An endpoint, and a pair that is right there."""

    endpoint: TokenEndpoint
    right: Credential

    @property
    def wrong(self) -> Credential:
        """The right client id with a secret that was never issued."""
        return Credential(self.right.client_id, "keyturn-contract-this-secret-was-never-issued")


@pytest.fixture(params=[*SHAPES, "vendor"])
def party(request: pytest.FixtureRequest) -> Any:
    """The twin in each shape that is thinkable, and Gong."""
    settings, right = _vendor() if request.param == "vendor" else _twin(request)
    endpoint = token_endpoint(settings, SystemClock())
    assert isinstance(endpoint, GongTokenEndpoint)
    yield Party(endpoint, right)
    endpoint._transport.close()


def _vendor() -> tuple[GongSettings, Credential]:
    names = ("KEYTURN_CONTRACT_GONG_CLIENT_ID", "KEYTURN_CONTRACT_GONG_CLIENT_SECRET")
    client_id, secret = (os.environ.get(name, "") for name in names)
    if not (client_id and secret):  # the real Gong, which only who has an integration there can ask
        pytest.skip(f"{' and '.join(names)} are not set")
    return GongSettings(), Credential(client_id, secret)


def _twin(request: pytest.FixtureRequest) -> tuple[GongSettings, Credential]:
    twins = request.getfixturevalue("twins")
    right = twins.integration()
    twins.switch(twins.gong, token_error_body=request.param)
    return GongSettings(token_url=f"{twins.gong}/oauth2/generate-customer-token"), right


def test_a_right_pair_is_never_called_wrong(party: Party) -> None:
    """At most it is not proven."""
    assert party.endpoint.probe(party.right).outcome is not ProbeOutcome.WRONG_PAIR


def test_a_wrong_pair_is_never_called_valid(party: Party) -> None:
    """At most it is not proven."""
    assert party.endpoint.probe(party.wrong).outcome is not ProbeOutcome.VALID


def test_an_unknown_client_is_never_called_valid(party: Party) -> None:
    """Nor is a pair whose id nobody issued."""
    unknown = Credential("keyturn-contract-no-such-client", party.wrong.reveal())
    assert party.endpoint.probe(unknown).outcome is not ProbeOutcome.VALID


def test_the_evidence_tells_a_status_and_no_secret(party: Party) -> None:
    """Somebody answered, and what is kept of it can be shown to anybody."""
    for pair in (party.right, party.wrong):
        probe = party.endpoint.probe(pair)
        assert probe.status is not None
        assert pair.reveal() not in repr(probe)


@pytest.mark.parametrize("party", ["oauth"], indirect=True)
def test_an_endpoint_as_in_the_rfc_tells_both(party: Party) -> None:
    """The shape in which the probe knows."""
    assert party.endpoint.probe(party.right).outcome is ProbeOutcome.VALID
    assert party.endpoint.probe(party.wrong).outcome is ProbeOutcome.WRONG_PAIR
