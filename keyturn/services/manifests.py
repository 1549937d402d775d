"""Manifests on disk: find, load, check, seal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.domain import scopes
from keyturn.domain.finding import Finding, error, errors, notice, placed
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.lint import links_of, lint
from keyturn.domain.manifest import Manifest, SealedManifest
from keyturn.domain.profile import ActionInfo
from keyturn.errors import ConfigurationError, ManifestError
from keyturn.services.logo import Logo, read_logo
from keyturn.services.manifest_index import SUFFIXES, every, index_of
from keyturn.services.manifest_shape import shape
from keyturn.services.manifest_text import LARGEST_FILE, parse

__all__ = ["Loaded", "Logo", "check", "every", "find", "load", "read_logo", "schema", "seal", "sealed_of"]

AskLinks = Callable[[Mapping[str, str]], Sequence[Finding]]

_UNASKED = notice(
    "derived-scopes",
    "stackone.actions",
    "StackOne was not asked, so the scopes of these actions are not judged",
    "They are judged and shown by `keyturn plan`.",
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A manifest file as it was read.

    Attributes:
        manifest: `None` when the file has faults of text or shape.
        draft: the manifest with stand-ins for faulty fields; only `check` looks at it.
        lines: line of each dotted field path, from 1.
        findings: faults of text and shape, all of them.
    """

    path: Path
    manifest: Manifest | None
    draft: Manifest | None = field(repr=False)
    lines: Mapping[str, int] = field(repr=False)
    findings: tuple[Finding, ...] = ()

    def valid(self) -> Manifest:
        """The manifest, as far as its shape goes; `seal` also looks at what it means.

        Raises:
            ManifestError: it has faults of text or shape; these and all other errors are named.
        """
        if self.manifest is None:
            raise _refusal(self.path, errors(check(self)))
        return self.manifest


def find(folder: Path, key_or_path: str) -> Path:
    """The file of an integration: given by its path, or looked up in the folder by its key.

    Raises:
        ConfigurationError: this is neither a key nor a file, or the folder is not there.
        ManifestError: no file of the folder, or more than one, is about this integration.
    """
    path = Path(key_or_path)
    if path.suffix in SUFFIXES or path.is_file():
        if not path.is_file():
            raise ConfigurationError(key_or_path, "is not a file", "Give a manifest's path, or tenant/environment.")
        return path
    return _only_one(IntegrationKey.parse(key_or_path), folder)


def load(path: Path) -> Loaded:
    """Read a manifest file. Faults of text and shape are findings.

    Raises:
        ManifestError: the file cannot be read at all.
    """
    text = parse(_content(path))
    manifest, faults = shape(text.data) if text.data or not text.findings else (None, [])
    findings = placed([*text.findings, *faults], text.lines)
    return Loaded(path, None if findings else manifest, manifest, text.lines, tuple(findings))


def check(loaded: Loaded, actions: Sequence[ActionInfo] | None = None, *, ask: AskLinks | None = None) -> list[Finding]:
    """Everything to say about a manifest file, its logo included, in the order of its lines.

    Args:
        loaded: the file as it was read.
        actions: what StackOne offers, or `None` when it was not asked.
        ask: tells which links do not answer (`keyturn.clients.links.answering`), or `None` to stay offline.
    """
    if loaded.draft is None:
        return list(loaded.findings)
    noticed = [*lint(loaded.draft, actions=actions), *_logo(loaded.path, loaded.draft)]
    if actions is None and loaded.draft.stackone.actions:
        noticed.append(_UNASKED)
    found = [*loaded.findings, *(finding for finding in noticed if not _touches(finding.where, loaded.findings))]
    if ask is not None:
        links = links_of(loaded.draft.gong).items()
        found += ask({where: link for where, link in links if not _touches(where, errors(found))})
    return placed(found, loaded.lines)


def sealed_of(folder: Path, key_or_path: str, actions: Callable[[], Sequence[ActionInfo]]) -> SealedManifest:
    """The sealed manifest that a text names.

    Args:
        folder: of the manifests.
        key_or_path: as for `find`.
        actions: asks StackOne what it offers; only asked if the manifest derives scopes from actions.

    Raises:
        ManifestError: there is no such manifest, or lint finds errors; all of them are named.
    """
    loaded = load(find(folder, key_or_path))
    wanted = loaded.manifest.stackone.actions if loaded.manifest else ()
    return seal(loaded, actions() if wanted else ())


def seal(loaded: Loaded, actions: Sequence[ActionInfo]) -> SealedManifest:
    """Fix what people are asked to approve: the manifest, the scopes it comes to, and the logo's content.

    Args:
        loaded: the file as it was read.
        actions: what StackOne offers now.

    Raises:
        ManifestError: the manifest has errors; all of them are named.
    """
    faults = errors(check(loaded, actions))
    if faults:
        raise _refusal(loaded.path, faults)
    manifest = loaded.valid()
    logo = read_logo(_logo_path(loaded.path, manifest))
    return SealedManifest(
        manifest=manifest,
        scopes=scopes.required(manifest.gong.scopes, manifest.stackone.actions, actions),
        logo_sha256=logo.sha256,
        logo_large=logo.large,
        logo_small=logo.small,
    )


def schema() -> dict[str, object]:
    """JSON Schema of a manifest, for editors."""
    body = Manifest.model_json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "keyturn manifest"}
    return head | {name: value for name, value in body.items() if name != "title"}


def _refusal(path: Path, faults: Sequence[Finding]) -> ManifestError:
    problem = f"{len(faults)} error{'s' * (len(faults) != 1)}: " + "; ".join(map(str, faults))
    return ManifestError(str(path), problem, "Correct them; `keyturn lint` shows the list again.")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as fault:
        raise ManifestError(str(path), f"cannot be read: {fault.strerror}", "Check the path and its rights.") from None


def _only_one(key: IntegrationKey, folder: Path) -> Path:
    about = index_of(folder).about(key)
    if len(about.files) == 1:
        return about.files[0]
    if about.files:
        problem = f"{_names(about.files)} in {folder} are all about it"
        raise ManifestError(str(key), problem, "Keep one, or give the path of the one you mean.")
    unread = f"{_names(about.unread)} cannot be read: run `keyturn lint`."
    remedy = unread if about.unread else "Write one, or check the key."
    raise ManifestError(str(key), f"no manifest in {folder} is about it", remedy)


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(path.name for path in paths)


def _logo(path: Path, manifest: Manifest) -> list[Finding]:
    try:
        read_logo(_logo_path(path, manifest))
    except ManifestError as fault:
        return [error("logo", "gong.logo", f"{manifest.gong.logo!r}: {fault.problem}", fault.remedy)]
    return []


def _logo_path(path: Path, manifest: Manifest) -> Path:
    if Path(manifest.gong.logo).is_absolute():
        remedy = "Other machines have other folders: give its path relative to the manifest."
        raise ManifestError(str(path), "the logo's path is not relative", remedy)
    return path.parent / manifest.gong.logo


def _touches(where: str, faults: Iterable[Finding]) -> bool:
    """Whether a field is one of the faulty ones, is inside one, or has one inside."""
    return any(f"{where}.".startswith(f"{f.where}.") or f"{f.where}.".startswith(f"{where}.") for f in faults)
