"""The manifests of the example fleet, as files that people can read and change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.services import manifests

_FILE = """\
# {title}, one of the sandbox's example fleet. Nothing of it exists outside of this machine.
tenant: {tenant}
environment: {environment}

gong:
  name: StackOne
  description: Lets {title} read the people and calls of Gong through StackOne. It changes nothing in Gong.
  short_description: Reads people and calls through StackOne
  logo: logos/acme.png
  scopes:
    - api:users:read
    - api:calls:read:basic
  privacy_policy_url: https://www.{tenant}.example/privacy
  terms_url: https://www.{tenant}.example/terms
  help_url: https://help.{tenant}.example/gong
  contact_emails: [integrations@{tenant}.example]
  domains: [{tenant}.example]
{trusted_ips}
stackone:
  origin_owner:
    id: {tenant}-{environment}
    name: {title}

approval:
  approvals: {approvals}

rotation:
  every_days: {every_days}
"""
_TRUSTED_IPS = """\
  trusted_ips: # addresses for documentation (RFC 5737)
    access_token: [192.0.2.30]
    refresh_token: [192.0.2.30]
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What differs from one example's manifest to the next."""

    key: IntegrationKey
    approvals: int = 1
    every_days: int = 90
    trusted_ips: bool = True

    @property
    def text(self) -> str:
        """The file."""
        return _FILE.format(
            title=f"{self.key.tenant.replace('-', ' ').title()} ({self.key.environment})",
            tenant=self.key.tenant,
            environment=self.key.environment,
            approvals=self.approvals,
            every_days=self.every_days,
            trusted_ips=_TRUSTED_IPS if self.trusted_ips else "",
        )


def write(folder: Path, wanted: Iterable[Wanted]) -> Mapping[IntegrationKey, SealedManifest]:
    """Write the files, and seal them. All of them show one logo, which is made into its sizes once."""
    paths = {one.key: folder / f"{one.key.tenant}-{one.key.environment}.yaml" for one in wanted}
    for one in wanted:
        paths[one.key].write_text(one.text, encoding="utf-8")
    first = manifests.seal(manifests.load(next(iter(paths.values()))), ())
    return {key: first.model_copy(update={"manifest": manifests.load(path).valid()}) for key, path in paths.items()}
