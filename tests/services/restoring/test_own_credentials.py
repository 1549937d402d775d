"""Keyturn's own credentials are rotated while it works, and an integration goes on as if nothing had been."""

from __future__ import annotations

import pytest

from keyturn.domain.attempt import Stage
from keyturn.errors import VendorRefusedError
from tests.services.restoring.life import Life


def test_a_second_secret_id_takes_over_from_the_first(life: Life) -> None:
    """Both are good at once; once the first is destroyed, who signed in with it goes on, and newcomers need another."""
    world, role = life.world, "auth/approle/role/keyturn-worker"
    with life.stores.openbao.api() as api:
        first, second = (api.write(f"{role}/secret-id")["data"] for _ in range(2))
        world.ports = life.new_ports(VAULT__SECRET_ID=first["secret_id"])
        world.handed_in()
        world.go_on(Stage.FETCH_SECRET)
        api.write(f"{role}/secret-id-accessor/destroy", {"secret_id_accessor": first["secret_id_accessor"]})
    assert world.pointer.pending is not None
    with pytest.raises(VendorRefusedError, match="does not accept"):
        life.new_ports(VAULT__SECRET_ID=first["secret_id"]).secrets.pointer(world.key)
    world.ports = life.new_ports(VAULT__SECRET_ID=second["secret_id"])
    world.go_on(Stage.STORE_SECRET)
    assert world.pointer.current is not None


def test_a_rotated_fingerprint_key_leaves_old_fingerprints_good(life: Life) -> None:
    """The pair that was handed in before is fetched and stored; the next one's fingerprint names the newer version."""
    world = life.world
    world.handed_in()
    with life.stores.openbao.api() as api:
        api.write("transit/keys/keyturn-fingerprint/rotate")
    world.go_on(Stage.STORE_SECRET)
    old = world.pointer.current
    assert old is not None
    pair = world.ports.secrets.read(old)
    newer = world.vault("grace").fingerprint(pair)
    assert newer.split(":")[1] != old.fingerprint.split(":")[1]
    assert life.said() == ""
