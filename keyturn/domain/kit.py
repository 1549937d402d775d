"""The kit: a manifest as filled-in forms, in the order of the screens that people have in front of them.

Labels and order are those of Gong's Admin center and of StackOne's dashboard as their guides describe them. A kit is
plain data: a command line prints it, an artifact shows it as Markdown, a page can put a copy button beside each value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest

_ROLES = (
    "Sign in as Tech admin. StackOne's guide says Business Admin, but others met “Insufficient permissions” with that "
    "role. The same person should give consent later: a new integration is private."
)
_NOT_MCP = (
    "Create Integration, not “MCP integration” under the same button: that one has other scopes and another address."
)
_ASK_FOR_IPS = (
    "None are in the manifest. Ask StackOne support for its egress addresses: Gong refuses calls from others."
)


@dataclass(frozen=True, slots=True)
class KitField:
    """One field of a form.

    Attributes:
        label: as the screen has it.
        values: what to put in, exactly; several where the field takes several. Empty when there is nothing to copy.
        note: what else to know about it, in our own words.
        image: base64 PNG to upload, for a logo.
    """

    label: str
    values: tuple[str, ...] = ()
    note: str = ""
    image: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class KitStep:
    """One screen: how to get there, what to do, and its fields."""

    title: str
    path: tuple[str, ...] = ()
    fields: tuple[KitField, ...] = ()
    then: str = ""


@dataclass(frozen=True, slots=True)
class Kit:
    """Everything that Gong's admin does, and the digest that was approved for it."""

    key: IntegrationKey
    digest: str
    warnings: tuple[str, ...]
    steps: tuple[KitStep, ...]


def kit(sealed: SealedManifest, admin_url: str) -> Kit:
    """The kit for Gong's admin; `admin_url` is where Gong's Admin center is."""
    steps = (_way(admin_url), _about(sealed), _scopes(sealed), _details(sealed), _save(), _trusted_ips(sealed))
    return Kit(sealed.key, sealed.digest, (_ROLES, _NOT_MCP), (*steps, _hand_over(sealed)))


def stackone_steps(sealed: SealedManifest, dashboard_url: str) -> tuple[KitStep, ...]:
    """StackOne's form, for whoever makes the Connector Profile by hand. It never holds the pair itself."""
    manifest = sealed.manifest
    actions = manifest.stackone.actions
    to_form = ("Connector Profiles", "+ Connector Profile", "search and select Gong")
    form = (
        KitField("Type", ("OAuth 2.0",)),
        KitField("Name", (manifest.profile_name,), "Exactly so: keyturn finds the profile again by its name."),
        KitField("Client ID", note="From keyturn's single-use reveal."),
        KitField("Client Secret", note="From keyturn's single-use reveal. Paste it here and nowhere else."),
        KitField("Scopes", sealed.scopes),
        KitField("Actions", actions, "Enable these." if actions else "Leave StackOne's choice as it is."),
    )
    return (
        KitStep("Open StackOne's dashboard", fields=(KitField("Address", (dashboard_url,), "Needs Project Admin."),)),
        KitStep("Fill in the Connector Profile", to_form, form, "Press Create profile. keyturn sees it by itself."),
    )


def stackone_edit(sealed: SealedManifest, name: str, dashboard_url: str) -> tuple[KitStep, ...]:
    """The same form of a profile that is there already: only the pair is put in anew."""
    form = (
        KitField("Client ID", note="From keyturn's single-use reveal."),
        KitField("Client Secret", note="From keyturn's single-use reveal. Paste it here and nowhere else."),
        KitField("Scopes", sealed.scopes, "Leave what is there if it is the same."),
    )
    then = "Press Save. Do not disable the profile, and make no new one: its accounts would be lost."
    return (
        KitStep("Open StackOne's dashboard", fields=(KitField("Address", (dashboard_url,), "Needs Project Admin."),)),
        KitStep("Edit the Connector Profile", ("Connector Profiles", name, "Edit"), form, then),
    )


def render_markdown(kit: Kit) -> str:
    """The kit as Markdown. Every value is a literal block: no text of a manifest can become a link, tag or heading."""
    head = [f"# Kit for {kit.key}", f"Belongs to digest `{kit.digest}`"]
    return "\n\n".join([*head, *(f"> **Mind:** {text}" for text in kit.warnings), render_steps(kit.steps)]) + "\n"


def render_steps(steps: tuple[KitStep, ...]) -> str:
    """Steps as Markdown, numbered, under the same rule about values."""
    return "\n\n".join(part for number, step in enumerate(steps, start=1) for part in _step(number, step))


def _way(admin_url: str) -> KitStep:
    path = ("Admin Center (gear, bottom left)", "Ecosystem", "API", "tab INTEGRATIONS", "Create Integration")
    return KitStep("Sign in to Gong and open the form", path, (KitField("Address", (admin_url,)),))


def _about(sealed: SealedManifest) -> KitStep:
    form = sealed.manifest.gong
    note = f"Square, made from the file with SHA-256 {sealed.logo_sha256}."
    fields = (
        KitField("Integration name", (form.name,), "Shown on the consent screen."),
        KitField("Description", (form.description.strip(),), "Shown on the integration's own page."),
        KitField("Short description", (form.short_description,), "Shown in the list of integrations."),
        KitField("App logo, large", (form.logo,), note, sealed.logo_large),
        KitField("App logo, small", (form.logo,), note, sealed.logo_small),
    )
    return KitStep("Say what it is", fields=fields)


def _scopes(sealed: SealedManifest) -> KitStep:
    note = "These and no others."
    return KitStep("Choose the scopes", fields=(KitField("Required authorization scopes", sealed.scopes, note),))


def _details(sealed: SealedManifest) -> KitStep:
    form = sealed.manifest.gong
    fields = [
        KitField("Redirect URI(s)", form.redirect_uris, "Exactly so, without a final slash."),
        KitField("Privacy policy URL", (form.privacy_policy_url,)),
        KitField("Terms & conditions URL", (form.terms_url,)),
        KitField("Help article URL", (form.help_url,)),
    ]
    if form.authorization_page_url:
        note = "Only in older forms."
        fields.append(KitField("Page where authorization begins", (form.authorization_page_url,), note))
    fields += [KitField("Contact emails", form.contact_emails), KitField("Domains", form.domains)]
    return KitStep("Give the integration details", fields=tuple(fields))


def _save() -> KitStep:
    fields = (
        KitField("Client ID", note="Copy it from the table of integrations."),
        KitField(
            "Client Secret",
            note="Press Show secret and copy it: Gong may not show it again. Not into mail, chat or a file.",
        ),
    )
    return KitStep("Save, and copy the pair", ("Save", "Show secret"), fields)


def _trusted_ips(sealed: SealedManifest) -> KitStep:
    ips = sealed.manifest.gong.trusted_ips
    fields = (
        KitField("Access Token", ips.access_token, "One address a line." if ips.access_token else _ASK_FOR_IPS),
        KitField("Refresh Token", ips.refresh_token, "One address a line." if ips.refresh_token else _ASK_FOR_IPS),
    )
    return KitStep(
        "Set the trusted IPs", ("More actions", "Edit trusted IPs"), fields, "Save: Gong enforces them at once."
    )


def _hand_over(sealed: SealedManifest) -> KitStep:
    note = "Asks for the pair without showing it, and puts it straight into Vault."
    return KitStep("Hand the pair over", fields=(KitField("Command", (f"keyturn submit {sealed.key}",), note),))


def _step(number: int, step: KitStep) -> list[str]:
    path = [_escaped(" > ".join(step.path))] if step.path else []
    fields = [part for each in step.fields for part in _field(each)]
    return [f"## {number}. {_escaped(step.title)}", *path, *fields, *([_escaped(step.then)] if step.then else [])]


def _field(each: KitField) -> list[str]:
    label = f"**{_escaped(each.label)}**" + (f": {_escaped(each.note)}" if each.note else "")
    return [label, _literal("\n".join(each.values))] if each.values else [label]


def _literal(text: str) -> str:
    """A fenced block that its own content cannot close (CommonMark 4.5): the fence is longer than any run in it."""
    lines = re.sub(r"\r\n?", "\n", text).replace("\0", "\ufffd")
    longest = max((len(run) for run in re.findall("`+", lines)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{lines}\n{fence}"


def _escaped(text: str) -> str:
    """Our own words, with Markdown's and HTML's signs made harmless."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&])", r"\\\1", text)
