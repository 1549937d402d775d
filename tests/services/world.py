"""An integration's world on real servers, and the people who act in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import httpx

from keyturn.clients.vault.person import VaultPerson
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.attempt import Receipt, Stage
from keyturn.domain.credential import Credential
from keyturn.domain.gate import Gate, GateKind, Person
from keyturn.domain.kit import kit
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.profile import Link
from keyturn.domain.verdict import Verdict
from keyturn.errors import VendorRefusedError
from keyturn.sandbox.openbao import OpenBao
from keyturn.sandbox.people import Pair
from keyturn.sandbox.vault_api import VaultApi
from keyturn.services import decide
from keyturn.services.intake import Intake, Submitted
from keyturn.services.reveal import reveal
from keyturn.services.start import Started, start
from tests.services.played import Played
from tests.services.search import CANARY
from tests.services.twins import Twins


@dataclass(kw_only=True)
class World(Played):
    """One integration, from its manifest on.

    Attributes:
        secrets: texts that must turn up nowhere but in Vault and the twins.
    """

    openbao: OpenBao
    tokens: Mapping[str, str]
    twins: Twins
    secrets: list[str] = field(default_factory=lambda: [CANARY])

    # --- manifests and people

    def sealed(self, note: str = "Calls in StackOne", **parts: Mapping[str, object]) -> SealedManifest:
        """A sealed manifest; another note gives another digest, further parts replace a manifest's defaults."""
        form = {
            "name": "StackOne",
            "description": note,
            "short_description": "Calls",
            "logo": "logo.png",
            "privacy_policy_url": "https://acme.example/privacy",
            "terms_url": "https://acme.example/terms",
            "help_url": "https://acme.example/help",
            "contact_emails": ["it@acme.example"],
            "domains": ["acme.example"],
        }
        manifest = {
            "tenant": self.key.tenant,
            "environment": self.key.environment,
            "gong": form | {"scopes": ["api:users:read"]},
            "stackone": {"origin_owner": {"id": f"{self.key.tenant}-1", "name": "Acme"}},
            **parts,
        }
        scopes = ["api:users:read"]
        pictures = {"logo_sha256": "0" * 64, "logo_large": "", "logo_small": ""}
        return SealedManifest.model_validate({"manifest": manifest, "scopes": scopes, **pictures})

    def vault(self, name: str) -> VaultPerson:
        """Vault in a person's hands."""
        settings = self.ports.settings.vault
        return VaultPerson(VaultSession(settings, self.tokens[name]), settings)

    def person(self, name: str) -> Person:
        """Somebody, as Vault knows them."""
        return self.vault(name).whoami()

    def intake(self, name: str = "grace") -> Intake:
        """Where a person hands a secret in."""
        return Intake(self.ports.ledger, self.vault(name), self.ports.gong, self.runs, self.ports.clock)

    # --- what people do

    def start(self, name: str = "alice", sealed: SealedManifest | None = None, *, restart: bool = False) -> Started:
        """`keyturn onboard`."""
        person = self.person(name)
        requester = replace(person, groups=person.groups | {"requester"})  # anybody may be one besides
        return start(self.ports.ledger, self.runs, sealed or self.sealed(), requester, restart=restart)

    def approve(self, name: str = "bob", digest: str = "", note: str = "") -> decide.Decided:
        """`keyturn approve`, of the digest that is asked about unless another is given."""
        seen = digest or self.gate(GateKind.APPROVE).digest
        return decide.approve(self.ports.ledger, self.runs, self.person(name), self.key, seen, note)

    def reject(self, name: str = "bob", reason: str = "not now") -> decide.Decided:
        """`keyturn reject`."""
        return decide.reject(self.ports.ledger, self.runs, self.person(name), self.key, reason)

    def create_integration(self) -> Pair:
        """Grace fills in Gong's form from the kit, and reads the pair off the table."""
        steps = asdict(kit(self.sealed(), self.twins.gong))["steps"]
        pair = self.twins.gong_admin.create_integration(steps)
        self.secrets.append(pair.client_secret)
        return pair

    def submit(self, pair: Pair, name: str = "grace") -> Submitted:
        """`keyturn submit`."""
        return self.intake(name).submit(self.key, Credential(pair.client_id, pair.client_secret))

    def link(self, name: str = "grace", expires_in_s: int = 1800) -> Link:
        """`keyturn link`."""
        made = self.linking.fresh_link(self.person(name), self.key, expires_in_s)
        self.secrets.append(httpx.URL(made.url).params["token"])
        return made

    def consent(self, link: Link, *, approve: bool = True) -> str:
        """Grace opens the link, and consents at Gong or not."""
        return self.twins.gong_admin.consent(link.url, approve=approve)

    def revealed(self, name: str = "grace") -> tuple[str, str]:
        """`keyturn reveal`, and unwrapping what it gives."""
        wrapped = reveal(self.ports.ledger, self.vault(name), self.key)
        self.secrets.append(wrapped.token)
        with self.openbao.api(wrapped.token) as vault:
            data = vault.write("sys/wrapping/unwrap")["data"]["data"]
        return data["client_id"], data["client_secret"]

    def fill_in_stackone(self, name: str = "") -> None:
        """Grace makes the profile by hand, from a reveal."""
        client_id, secret = self.revealed()
        self.twins.stackone_admin.create_profile(name or self.profile_name, client_id, secret, ["api:users:read"])

    # --- shortcuts through the journey

    def to_approval(self) -> Gate:
        """Up to the gate `approve`."""
        self.start()
        return self.waits()

    def to_intake(self) -> Gate:
        """Up to the gate `gong_admin`."""
        self.to_approval()
        self.approve()
        return self._waits_on()

    def handed_in(self) -> Pair:
        """Up to a right pair handed in, and not fetched yet."""
        self.to_intake()
        pair = self.create_integration()
        self.submit(pair)
        return pair

    def stored(self) -> Pair:
        """Up to a right pair stored."""
        pair = self.handed_in()
        self.go_on(Stage.STORE_SECRET)
        return pair

    def to_form(self) -> Gate:
        """Up to the gate `stackone_form`, StackOne having no write API."""
        self.twins.options(self.twins.stackone, write_api="off")
        self.handed_in()
        return self._waits_on()

    def to_consent(self) -> Gate:
        """Up to the gate `consent`."""
        self.handed_in()
        return self._waits_on()

    def linked(self) -> str:
        """Up to a linked account; its id."""
        self.to_consent()
        self.consent(self.link())
        result = self.go_on(Stage.LINK_ACCOUNT)
        assert isinstance(result, Receipt)
        return str(result.body["account_id"])

    def completed(self) -> Verdict:
        """To the end."""
        self.to_consent()
        self.consent(self.link())
        result = self.go_on()
        assert isinstance(result, Verdict), result
        return result

    def _waits_on(self) -> Gate:
        result = self.go_on()
        assert isinstance(result, Gate), result
        return result

    def waits(self) -> Gate:
        """Run, and be at a gate."""
        result = self.run()
        assert isinstance(result, Gate), result
        return result

    def ends(self) -> Verdict:
        """Run, and be at the end."""
        result = self.run()
        assert isinstance(result, Verdict), result
        return result

    def versions(self) -> int:
        """How many versions of the pair Vault has ever kept."""
        with self.openbao.api() as api:
            if f"{self.key.tenant}/" not in _listed(api, "") or "client" not in _listed(api, str(self.key)):
                return 0
            known: int = api.read(f"keyturn/metadata/{self.key}/client")["data"]["current_version"]
            return known


def _listed(api: VaultApi, folder: str) -> list[str]:
    """What Vault holds in a folder; of an empty one it says 404."""
    try:
        names: list[str] = api.read(f"keyturn/metadata/{folder}?list=true")["data"]["keys"]
    except VendorRefusedError as refused:
        if not refused.problem.startswith("404"):
            raise
        return []
    return names
