"""What a folder's files say of an integration, without asking anybody, and whatever else lies there."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyturn.domain.finding import errors
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.profile import ActionInfo
from keyturn.errors import ManifestError
from keyturn.services import manifests
from keyturn.services.manifest_folder import Filed, Folder

EXAMPLES = Path(__file__).parents[2] / "integrations"
KEY, SANDBOX = IntegrationKey("acme", "production"), IntegrationKey("acme", "sandbox")
OFFERED = (ActionInfo("list_users", "List users", ("api:users:read", "api:workspaces:read")),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with both example manifests and their logo."""
    (tmp_path / "logos").mkdir()
    for name in ("acme-production.yaml", "acme-sandbox.yaml", "logos/acme.png"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    return tmp_path


def edited(folder: Path, old: str, new: str) -> Path:
    """The example manifest with one piece of its text replaced."""
    path = folder / "acme-production.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def sealed(name: str = "acme-production.yaml") -> SealedManifest:
    """An example as it is registered."""
    return manifests.seal(manifests.load(EXAMPLES / name), OFFERED)


def filed(folder: Path, key: IntegrationKey = KEY) -> Filed:
    """What the file about an integration says; there must be one."""
    found = Folder(folder)(key)
    assert found
    return found


@pytest.mark.parametrize(("key", "name"), [(KEY, "acme-production.yaml"), (SANDBOX, "acme-sandbox.yaml")])
def test_a_file_that_was_not_touched(folder: Path, key: IntegrationKey, name: str) -> None:
    """It says what was sealed, also where scopes were derived from actions, which nobody is asked for again."""
    assert filed(folder, key).says(sealed(name))
    assert SealedManifest.model_validate(sealed(name).model_dump(mode="json")) == sealed(name)
    assert not filed(folder, key).says(sealed("acme-sandbox.yaml" if key is KEY else "acme-production.yaml"))


def test_a_file_that_was_edited(folder: Path) -> None:
    """Another word in it is another manifest; a comment is none."""
    edited(folder, "tenant: acme", "tenant: acme  # the customer")
    assert filed(folder).says(sealed())
    edited(folder, "grace_hours: 168", "grace_hours: 24")
    assert not filed(folder).says(sealed())


def test_another_picture_under_the_same_name(folder: Path) -> None:
    """The logo belongs to what was approved; where pictures are not at hand, nothing is said of it."""
    logo = folder / "logos" / "acme.png"
    logo.write_bytes(logo.read_bytes() + b"\0")
    assert not filed(folder).says(sealed())
    logo.unlink()
    assert filed(folder).says(sealed())


def test_a_file_with_faults_says_nothing_that_was_registered(folder: Path) -> None:
    """It is found by its key all the same."""
    edited(folder, "terms_url:", "term_url:")
    assert filed(folder) == Filed(None)
    assert not filed(folder).says(sealed())


def test_what_lint_says_of_the_meaning_does_not_matter(folder: Path) -> None:
    """What was registered under older rules is still what was registered."""
    path = edited(folder, "https://www.acme.example/terms", "http://127.0.0.1/terms")
    loaded = manifests.load(path)
    assert errors(manifests.check(loaded))
    older = sealed().model_copy(update={"manifest": loaded.valid()})
    assert filed(folder).says(older)


def test_nothing_there(folder: Path) -> None:
    """No folder, no file of its own, or a file where a folder should be: nothing is said."""
    assert Folder(folder / "nowhere")(KEY) is None
    assert Folder(folder / "acme-production.yaml")(KEY) is None
    assert Folder(folder)(IntegrationKey("nobody", "production")) is None


def test_it_cannot_be_told_which(folder: Path) -> None:
    """Of two files about it nobody knows which one counts; and one that cannot be read may be the one."""
    copy = folder / "copy.yml"
    copy.write_bytes((folder / "acme-production.yaml").read_bytes())
    with pytest.raises(ManifestError, match="2 files in the folder"):
        Folder(folder)(KEY)
    copy.unlink()
    edited(folder, "tenant: acme", "tenant: [acme")
    with pytest.raises(ManifestError, match=r"acme-production\.yaml in the folder cannot be read"):
        Folder(folder)(KEY)
    assert Folder(folder)(SANDBOX)


def test_what_is_wrong_with_other_files_is_theirs(folder: Path) -> None:
    """A file that is no manifest, no text, too large or not to be opened stands in nobody's way."""
    (folder / "broken.yaml").write_text("tenant: [nobody")
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\0" * 100)
    (folder / "large.yaml").write_text("# \n" * 1_000_000)
    (folder / "gone.yaml").symlink_to(folder / "nowhere")
    assert filed(folder).says(sealed())


def test_as_it_is_now(folder: Path) -> None:
    """What came to the folder after the first question counts for the second."""
    files = Folder(folder)
    assert files(SANDBOX)
    (folder / "copy.yml").write_bytes((folder / "acme-production.yaml").read_bytes())
    with pytest.raises(ManifestError, match="2 files in the folder"):
        files(KEY)
