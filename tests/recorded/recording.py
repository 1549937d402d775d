"""A recording, as it is loaded into the databases, the Vault and the twins of a new sandbox.

Its secrets were never kept: the pairs in Vault and in the twins are new, and so are their fingerprints. Its times are
moved, so that it is as old as if it had been made just now.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg

from keyturn.domain.integration import IntegrationKey
from keyturn.sandbox.files import write_private
from keyturn.sandbox.openbao import OpenBao
from keyturn.sandbox.ports import Ports
from keyturn.sandbox.postgres import Postgres
from keyturn.sandbox.vault_api import VaultApi

# Rows of the audit trail are sealed with all that they hold, so they stay as they were recorded.
AUDIT = re.compile(r"(^INSERT INTO public\.audit .*\n(?:\t\(.*\n)+)", re.MULTILINE)
AUDITED_AT = re.compile(r"^\t\((?:\d+, )?'([^.+]+)[.\d]*\+00'", re.MULTILINE)  # after the id that it once had
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")  # what is less than a second stays, and the zone
SECRET = re.compile(r"\{secret-\d+\}")


@dataclass
class Recording:
    """A recording, with new secrets in the places of those that were not kept."""

    folder: Path
    new: dict[str, str] = field(default_factory=dict)

    def told(self) -> Any:
        """What the recording says of itself."""
        return json.loads(self.text("recording.json"))

    def integrations(self) -> list[IntegrationKey]:
        """The integrations."""
        return [IntegrationKey.parse(key) for key in self.told()["attempts"].values()]

    def text(self, name: str) -> str:
        """A file of the recording, renewed."""
        parts = AUDIT.split(self.as_kept(name))
        return "".join(part if number % 2 else self.renewed(part) for number, part in enumerate(parts))

    def as_kept(self, name: str) -> str:
        """A file of the recording, as it is."""
        content = (self.folder / name).read_bytes()
        return (gzip.decompress(content) if name.endswith(".gz") else content).decode()

    def renewed(self, text: str) -> str:
        """A text as if it had been recorded just now, and with other secrets.

        By the days that pass, gates are asked afresh, people reminded, and secrets die: what is tested should not
        depend on the day.
        """
        text = MOMENT.sub(lambda at: (datetime.fromisoformat(at[0]) + self.age).isoformat(sep=at[0][10]), text)
        for place in SECRET.findall(text):
            self.new.setdefault(place, secrets.token_urlsafe(36))
        for old, new in self.new.items():
            text = text.replace(old, new)
        return text

    @cached_property
    def age(self) -> timedelta:
        """How long ago the last row of its audit trail was written, in whole seconds."""
        _, rows, *_ = AUDIT.split(self.as_kept("ledger.sql.gz"))
        last = datetime.fromisoformat(max(AUDITED_AT.findall(rows))).replace(tzinfo=UTC)
        return timedelta(seconds=int((datetime.now(UTC) - last).total_seconds()))

    def lay_out(self, state: Path) -> None:
        """Give the twins back what they remembered; accounts remember where Gong is, so its port is chosen now."""
        state.mkdir()
        ports = Ports(state / "ports.json")
        self.new |= {f"{{{twin}}}": f"http://127.0.0.1:{ports.of(twin)}" for twin in ("gong", "stackone")}
        for name in ("gong.json", "stackone.json"):
            write_private(state / name, self.text(name))

    def load(self, postgres: Postgres, openbao: OpenBao) -> None:
        """Fill Vault, and then the databases, in which the fingerprints of the new pairs take the places of the old."""
        with openbao.api() as vault:
            for key, kept in self.told()["vault"].items():
                for pair in kept.get("client", ()):
                    self.new[pair.pop("fingerprint")] = fingerprint(vault, pair)
                store(vault, f"{openbao.mount}/data/{key}/client", kept.get("client", ()))
            for key, kept in self.told()["vault"].items():  # once more, now with the new fingerprints
                store(vault, f"{openbao.mount}/data/{key}/pointer", [kept["pointer"]] if kept else ())
        for database, name in (("keyturn", "ledger.sql.gz"), ("prefect", "prefect.sql.gz")):
            with psycopg.connect(postgres.url(database)) as connection:
                connection.execute(self.text(name).encode())


def fingerprint(vault: VaultApi, pair: Mapping[str, str]) -> str:
    """What keyturn recognises a pair by."""
    told = json.dumps([pair["client_id"], pair["client_secret"]]).encode()
    made = vault.write("transit/hmac/keyturn-fingerprint", {"input": base64.b64encode(told).decode()})
    return str(made["data"]["hmac"])


def store(vault: VaultApi, path: str, versions: Any) -> None:
    """Write the versions of a secret, from the first."""
    for cas, data in enumerate(versions):
        vault.write(path, {"options": {"cas": cas}, "data": data})
