"""What two sealed manifests differ in, field by field."""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.domain.manifest import SealedManifest


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not the same in two manifests.

    Attributes:
        field: its path, e.g. `manifest.gong.scopes`.
        before: what it was; `None` where there was nothing.
        after: what it is.
    """

    field: str
    before: object
    after: object

    @property
    def is_picture(self) -> bool:
        """Whether its values say nothing to a reader: a logo's bytes or hash."""
        return self.field.startswith("logo_")

    def __str__(self) -> str:
        return f"{self.field} has changed" if self.is_picture else f"{self.field}: {self.before} → {self.after}"


def differences(old: SealedManifest, new: SealedManifest) -> tuple[Difference, ...]:
    """Every field in which two manifests differ, by name."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    names = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
    return tuple(Difference(n, before.get(n), after.get(n)) for n in names)


def _flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
