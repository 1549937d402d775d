"""Debian's Redis, which Prefect's servers tell each other by. Everything it knows is also in its append-only file."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis

from keyturn.errors import ConfigurationError
from keyturn.sandbox.cluster.keeper import Keeper
from keyturn.sandbox.files import write_private
from keyturn.sandbox.processes import Child, Children, Command, environment

_HOST = "127.0.0.1"
_CONFIGURATION = """\
bind 127.0.0.1
port {port}
dir {folder}
requirepass {password}
appendonly yes
appendfsync everysec
save ""
daemonize no
"""


@dataclass(frozen=True, slots=True)
class Redis:
    """A running server."""

    child: Child
    port: int
    password: str = field(repr=False)

    @property
    def settings(self) -> Mapping[str, str]:
        """What Prefect's servers are told, so that several are one.

        Messages, their order, leases of concurrency limits and the clearing up after workers each have a module of
        their own; the perpetual services (Docket) have a database of their own.
        """
        address = {"HOST": _HOST, "PORT": str(self.port), "PASSWORD": self.password}
        return {
            "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
            "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
            "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
            "PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_QUEUE_STORAGE": "prefect_redis.cleanup_queue",
            **{f"PREFECT_REDIS_MESSAGING_{name}": value for name, value in address.items()},
            **{f"PREFECT_REDIS_WORKER_CLEANUP_QUEUE_{name}": value for name, value in address.items()},
            "PREFECT_SERVER_DOCKET_URL": f"redis://:{self.password}@{_HOST}:{self.port}/1",
        }


def start_redis(children: Children, keeper: Keeper, port: int) -> Redis:
    """Start it in `<state>/redis`, and keep it up.

    Raises:
        ConfigurationError: Debian's package is not installed.
        UnavailableError: it does not come up.
    """
    folder = children.state / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    password = _password(children.state / "redis.json")
    configuration = folder / "redis.conf"
    write_private(configuration, _CONFIGURATION.format(port=port, folder=json.dumps(str(folder)), password=password))
    argv = [_program(), str(configuration)]
    child = children.start(Command("redis", argv, environment(children.state / "home"), folder))
    with redis.Redis(host=_HOST, port=port, password=password) as client:
        child.wait_until(lambda: _answers(client))
    return Redis(keeper.keep(child), port, password)


def _password(kept: Path) -> str:
    if not kept.exists():
        write_private(kept, json.dumps({"password": secrets.token_urlsafe(24)}))
    return str(json.loads(kept.read_text())["password"])


def _program() -> str:
    program = shutil.which("redis-server")
    if program is None:
        raise ConfigurationError("cluster", "Redis is not installed", "Run `apt-get install redis-server`.")
    return program


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:  # also while it reads its file
        return False
