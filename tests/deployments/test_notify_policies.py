from __future__ import annotations

import pytest

from keyturn.errors import VendorRefusedError
from keyturn.sandbox.openbao import OpenBao
from keyturn.sandbox.vault_setup import PEOPLE

WHERE = "keyturn/data/notify/channels"
BODY = {"options": {"cas": 1}, "data": {"channels": []}}


@pytest.fixture(scope="module")
def written(bao: OpenBao) -> str:
    """Channels, as an administrator keeps them."""
    with bao.api() as root:
        root.write(WHERE, {"options": {"cas": 0}, "data": {"channels": []}})
    return WHERE


@pytest.fixture
def worker_token(bao: OpenBao) -> str:
    """A worker's token."""
    with bao.api() as anybody:
        signed_in = anybody.write("auth/approle/login", {"role_id": bao.role_id, "secret_id": bao.secret_id})
    return str(signed_in["auth"]["client_token"])


def test_workers_read_channels_and_change_none(bao: OpenBao, written: str, worker_token: str) -> None:
    """What they are told is an administrator's business."""
    with bao.api(worker_token) as worker:
        assert worker.read(written)["data"]["data"] == {"channels": []}
        for method, path in (("POST", written), ("DELETE", written), ("DELETE", written.replace("data", "metadata"))):
            with pytest.raises(VendorRefusedError, match="403"):
                worker.call(method, path, BODY)


@pytest.mark.parametrize("name", sorted(PEOPLE))
def test_no_person_reads_channels(bao: OpenBao, written: str, name: str) -> None:
    """Their URLs hold tokens and passwords."""
    with bao.api(bao.login(name)) as person:
        for method in ("GET", "POST", "DELETE"):
            with pytest.raises(VendorRefusedError, match="403"):
                person.call(method, written, BODY if method == "POST" else None)
