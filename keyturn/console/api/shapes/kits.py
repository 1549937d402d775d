"""Forms to fill in, and plans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pydantic import Field

from keyturn.console.api.shapes.base import Shape
from keyturn.domain import kit as domain
from keyturn.domain.manifest import SealedManifest
from keyturn.services import plan as planning


class KitField(Shape):
    """One field of a form."""

    label: str
    values: list[str]
    note: str


class KitScreen(Shape):
    """One screen of a form."""

    title: str
    path: list[str]
    fields: list[KitField]
    then: str

    @classmethod
    def of(cls, step: domain.KitStep) -> Self:
        """The shape of it, without images."""
        fields = [KitField(label=f.label, values=list(f.values), note=f.note) for f in step.fields]
        return cls(title=step.title, path=list(step.path), fields=fields, then=step.then)


class Kit(Shape):
    """The filled-in form for whoever does a gate's work, screen by screen."""

    digest: str
    warnings: list[str]
    steps: list[KitScreen]

    @classmethod
    def of(cls, kit: domain.Kit) -> Self:
        """The shape of it."""
        return cls(digest=kit.digest, warnings=list(kit.warnings), steps=screens(kit.steps))


class Fact(Shape):
    """Something that was looked up; `known` is false when it could not be, and `says` tells why."""

    about: str
    known: bool
    says: str


class KitFiles(Shape):
    """The kit as files."""

    markdown: str
    logo_large: str = Field(description="PNG in base64.")
    logo_small: str = Field(description="PNG in base64.")

    @classmethod
    def of(cls, sealed: SealedManifest, kit: domain.Kit) -> Self:
        """The files of it."""
        logos = {"logo_large": sealed.logo_large, "logo_small": sealed.logo_small}
        return cls(markdown=domain.render_markdown(kit), **logos)


class Plan(Shape):
    """The kit, what exists already, and what a run would do."""

    key: str
    digest: str
    scopes: list[str]
    found: list[Fact]
    differences: list[str]
    steps: list[str]
    kit: Kit
    files: KitFiles | None = Field(default=None, description="Only with `files=true`.")

    @classmethod
    def of(cls, made: planning.Plan, admin_url: str, *, files: bool) -> Self:
        """The shape of it; `admin_url` is where Gong's Admin center is."""
        kit = domain.kit(made.sealed, admin_url)
        return cls(
            key=str(made.sealed.key),
            digest=made.sealed.digest,
            scopes=list(made.sealed.scopes),
            found=[Fact(about=f.about, known=f.known, says=f.says) for f in made.facts],
            differences=list(made.differences),
            steps=list(made.steps),
            kit=Kit.of(kit),
            files=KitFiles.of(made.sealed, kit) if files else None,
        )


class RotationPlan(Shape):
    """What a rotation would do."""

    key: str
    digest: str
    steps: list[str]


def screens(steps: Iterable[domain.KitStep]) -> list[KitScreen]:
    """The shapes of them."""
    return [KitScreen.of(step) for step in steps]
