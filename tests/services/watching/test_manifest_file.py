"""The watch sees a manifest file that was edited and that nobody onboarded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from keyturn.domain.health import Cause, Outcome, Subject
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import StageFailedError
from keyturn.services.manifest_folder import Filed, Folder
from tests.services.watched import Watched, with_ips


@dataclass
class Filing:
    """A folder of manifests beside a watched integration, read anew in each round."""

    watched: Watched
    folder: Path

    def __post_init__(self) -> None:
        self.watched.filed = self.read

    def read(self, key: IntegrationKey) -> Filed | None:
        """What the folder says now."""
        return Folder(self.folder)(key)

    def write(self, sealed: SealedManifest) -> None:
        """The file says this."""
        body = sealed.manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
        (self.folder / "ours.yaml").write_text(json.dumps(body))

    @property
    def applied(self) -> SealedManifest:
        """What was onboarded."""
        return with_ips(self.watched.world.sealed())

    @property
    def another(self) -> SealedManifest:
        """What somebody would like better."""
        return with_ips(self.watched.world.sealed("Another description"))

    @property
    def evidence(self) -> str:
        """What a look at the manifest says now."""
        return self.watched.look(Subject.MANIFEST).evidence

    @property
    def remedy(self) -> str:
        """What a person is told to do."""
        return next(c.remedy for c in self.watched.health.raised if c.cause is Cause.MANIFEST_CHANGED)


@pytest.fixture
def filing(watched: Watched, tmp_path: Path) -> Filing:
    """A watched integration whose manifest lies in a folder."""
    made = Filing(watched, tmp_path)
    made.write(made.applied)
    return made


def test_a_file_as_it_was_applied(filing: Filing) -> None:
    """It is no drift, and neither is a folder without it."""
    assert filing.watched.checked() == set()
    assert set(filing.watched.outcomes().values()) == {Outcome.OK}
    (filing.folder / "ours.yaml").unlink()
    assert set(filing.watched.outcomes().values()) == {Outcome.OK}


def test_a_file_that_nobody_onboarded(filing: Filing) -> None:
    """An edit is told of, costs no call to StackOne, and is over when it is taken back."""
    twins = filing.watched.world.twins
    before = twins.calls(twins.stackone)["GET /actions"]
    filing.write(filing.another)
    assert filing.watched.checked() == {Cause.MANIFEST_CHANGED}
    assert filing.evidence.endswith("is applied; the file in the folder is not what is registered")
    assert "keyturn plan" in filing.remedy
    assert twins.calls(twins.stackone)["GET /actions"] == before
    filing.write(filing.applied)
    assert filing.watched.checked() == set()


def test_a_file_with_faults(filing: Filing) -> None:
    """A file that cannot be what was registered is told of; one that cannot be read at all leaves it unknown."""
    path = filing.folder / "ours.yaml"
    path.write_text(path.read_text().replace('"terms_url"', '"term_url"'))
    assert filing.watched.checked() == {Cause.MANIFEST_CHANGED}
    assert "the file in the folder has faults" in filing.evidence
    assert "`keyturn lint`" in filing.remedy
    path.write_text(path.read_text().replace('"gong": {', '"gong": ['))
    seen = filing.watched.look(Subject.MANIFEST)
    assert (seen.outcome, seen.hint) == (Outcome.UNKNOWN, None)
    assert "ours.yaml in the folder cannot be read" in seen.evidence
    assert {Outcome.OK, Outcome.UNKNOWN} == set(filing.watched.outcomes().values())


def test_a_change_that_is_under_way(filing: Filing) -> None:
    """While a change waits for its approval, the folder may have it already or not yet; a third text is drift."""
    world = filing.watched.world
    world.start(sealed=filing.another)
    assert filing.watched.look(Subject.MANIFEST).outcome is Outcome.OK
    filing.write(filing.another)
    assert filing.watched.look(Subject.MANIFEST).outcome is Outcome.OK
    filing.write(with_ips(world.sealed("A third description")))
    assert filing.watched.look(Subject.MANIFEST).outcome is Outcome.BAD


def test_a_change_that_was_rejected_can_be_cleared(filing: Filing) -> None:
    """What is registered and not wanted is put back as the remedy says."""
    world = filing.watched.world
    filing.write(filing.another)
    world.start(sealed=filing.another)
    world.waits()
    world.reject()
    with pytest.raises(StageFailedError):
        world.run()
    assert filing.watched.checked() == {Cause.MANIFEST_CHANGED}
    assert "`keyturn abandon " in filing.remedy
    filing.write(filing.applied)
    assert filing.watched.checked() == {Cause.MANIFEST_CHANGED}
    assert "not what is registered, but what is applied" in filing.evidence
    world.start(sealed=filing.applied)
    world.ports.ledger.abandon(world.attempt.id, world.person("alice"), "put back")
    assert filing.watched.checked() == set()
