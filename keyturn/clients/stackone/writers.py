"""The two ways of putting a credential into a StackOne profile, and which one is used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from keyturn.clients.answer import Call
from keyturn.clients.stackone.body import AUTHENTICATION, Slot, is_oauth2
from keyturn.clients.stackone.hub import StackOneHub
from keyturn.clients.stackone.specification import Endpoint, Offer, Specification
from keyturn.clients.stackone.wire import Authentication
from keyturn.clients.transport import Transport
from keyturn.domain.credential import Credential
from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.profile import Profile, ProfileSpec, WriterChoice
from keyturn.errors import ConfigurationError, VendorRefusedError
from keyturn.ports import ProfileWriter, Written
from keyturn.settings import StackOneSettings, WriterSetting


class AssistedProfileWriter:
    """Implements `ProfileWriter` by leaving it to a person."""

    name = "assisted"

    def create(self, spec: ProfileSpec, credential: Credential) -> Written:  # noqa: ARG002  the port's signature
        """Say that a person has to."""
        return Written.BY_HAND

    def update(self, profile: Profile, spec: ProfileSpec, credential: Credential) -> Written:  # noqa: ARG002  as above
        """Say that a person has to."""
        return Written.BY_HAND


class ApiProfileWriter:
    """Implements `ProfileWriter` with the endpoints that the live document offers.

    What StackOne answers is not read: it may repeat the secret, and success is believed only when read back. For the
    same reason its message is not quoted when it refuses.

    Args:
        oauth: StackOne's own words for OAuth 2.0 with this connector, if a body needs them.
    """

    name = "api"

    def __init__(self, transport: Transport, create: Endpoint, update: Endpoint, oauth: Authentication | None) -> None:
        self._transport, self._create, self._update, self._oauth = transport, create, update, oauth

    def create(self, spec: ProfileSpec, credential: Credential) -> Written:
        """Make the profile.

        Raises:
            AmbiguousError: sent, and no answer. StackOne has no idempotency keys: look for it by its name.
        """
        return self._write(self._create, self._create.path, spec, credential)

    def update(self, profile: Profile, spec: ProfileSpec, credential: Credential) -> Written:
        """Put the credential into an existing profile."""
        path = re.sub(r"\{[^{}]+\}", lambda _: quote(profile.id, safe=""), self._update.path)
        return self._write(self._update, path, spec, credential)

    def _write(self, endpoint: Endpoint, path: str, spec: ProfileSpec, credential: Credential) -> Written:
        values = _values(spec, self._oauth) | {
            Slot.CLIENT_ID: credential.client_id,
            Slot.CLIENT_SECRET: credential.reveal(),
        }
        if lacking := endpoint.form.lacking(values):
            problem = f"{endpoint} demands {', '.join(lacking)}, and the manifest says nothing for it"
            raise VendorRefusedError(self._transport.subject, problem, "Complete the manifest.")
        self._transport.fetch(Call(endpoint.method, path, json=endpoint.form.body(values), quotable=False))
        return Written.DONE


class StackOneWriters:
    """Implements `ProfileWriters`: the setting decides, and with `auto` the live document."""

    def __init__(self, settings: StackOneSettings, transport: Transport, hub: StackOneHub) -> None:
        self._setting, self._transport, self._hub = settings.profile_writer, transport, hub
        self._specification = Specification(settings, transport)

    def choose(self) -> tuple[ProfileWriter, WriterChoice]:
        """The writer to use now, and why.

        Raises:
            TransientError: the document cannot be read now, so nobody knows what is offered.
            ConfigurationError: the setting is `api`, and StackOne does not offer it.
        """
        if self._setting is WriterSetting.ASSISTED:
            return _assisted("the setting profile_writer is `assisted`")
        offer = self._specification.offer()
        writer, why = self._from_document(offer)
        if writer:
            return writer, WriterChoice(writer.name, why)
        if self._setting is WriterSetting.API:
            remedy = "Set KEYTURN_STACKONE__PROFILE_WRITER to auto or assisted."
            raise ConfigurationError("stackone.profile_writer", f"is `api`, but {why}", remedy)
        return _assisted(why)

    def _from_document(self, offer: Offer) -> tuple[ApiProfileWriter | None, str]:
        if not (offer.create and offer.update):
            return None, offer.why
        forms = (offer.create.form, offer.update.form)
        oauth = self._oauth() if any(form.asks_for(AUTHENTICATION) for form in forms) else None
        known = _known_beforehand(oauth)
        lacking = sorted({name for form in forms for name in form.lacking(known)})
        if lacking:
            return None, f"{offer.why}, but StackOne names no value for {', '.join(lacking)}"
        return ApiProfileWriter(self._transport, offer.create, offer.update, oauth), offer.why

    def _oauth(self) -> Authentication | None:
        ways: Sequence[Authentication] = self._hub.authentications(CONNECTOR)
        return next((way for way in ways if is_oauth2(way.type) or is_oauth2(way.label)), None)


def _assisted(why: str) -> tuple[ProfileWriter, WriterChoice]:
    return AssistedProfileWriter(), WriterChoice(AssistedProfileWriter.name, why)


def _values(spec: ProfileSpec, oauth: Authentication | None) -> dict[Slot, str | Sequence[str]]:
    way = oauth or Authentication()
    return {
        Slot.NAME: spec.name,
        Slot.CONNECTOR: spec.connector,
        Slot.SCOPES: spec.scopes,
        Slot.ACTIONS: spec.actions,
        Slot.AUTHENTICATION_KEY: way.key,
        Slot.AUTHENTICATION_TYPE: way.type,
        Slot.AUTHENTICATION_LABEL: way.label,
    }


def _known_beforehand(oauth: Authentication | None) -> dict[Slot, str | Sequence[str]]:
    """Stand-ins for what manifest and Vault will bring, so that only what StackOne fails to name is lacking."""
    stand_ins = ProfileSpec("name", CONNECTOR, ("scope",), ("action",))
    return _values(stand_ins, oauth) | {Slot.CLIENT_ID: "id", Slot.CLIENT_SECRET: "secret"}
