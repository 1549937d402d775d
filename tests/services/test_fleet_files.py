"""What the words of a command mean when they mean many."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyturn.domain.integration import IntegrationKey
from keyturn.errors import ConfigurationError
from keyturn.services.fleet_files import Meant, Wanted, of_folder
from keyturn.services.manifest_claim import claimed, claimed_in
from keyturn.services.manifest_text import parse

ACME, ZOO = IntegrationKey("acme", "production"), IntegrationKey("zoo", "production")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a person stands in: manifests, some of them further down, and what is none."""
    (tmp_path / "fleet" / "inner").mkdir(parents=True)
    (tmp_path / "fleet" / ".hidden").mkdir()
    for path, tenant in (("fleet/acme.yaml", "acme"), ("fleet/inner/zoo.yml", "zoo"), ("fleet/.hidden/a.yaml", "acme")):
        (tmp_path / path).write_text(f"tenant: {tenant}\nenvironment: production\n")
    (tmp_path / "fleet" / "notes.txt").write_text("tenant: acme")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "fleet"


def meant(*words: str, known: tuple[IntegrationKey, ...] = ()) -> list[Meant]:
    """What these words mean."""
    return Wanted(words, lambda: known).meant


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("word", "keys"),
    [
        ("fleet", [ACME, ZOO]),
        ("fleet/", [ACME, ZOO]),
        ("fleet/*.yaml", [ACME]),
        ("fleet/**/*.y*ml", [ACME, ZOO]),
        ("fle?t", [ACME, ZOO]),
        ("acme/production", [ACME]),
        ("fleet/inner/zoo.yml", [ZOO]),
    ],
)
def test_words(word: str, keys: list[IntegrationKey]) -> None:
    """A folder with all below it, a pattern, a key and a path; hidden folders and other files are passed over."""
    assert [one.key for one in meant(word)] == keys


def test_a_pattern_of_keys(folder: Path) -> None:
    """Where no file is met, integrations are; where nothing is, that is a mistake."""
    assert meant("*/production", known=(ACME, ZOO)) == [Meant(str(key), key) for key in (ACME, ZOO)]
    assert meant("fleet/*", known=(ACME,))[0].word == "fleet/acme.yaml"
    with pytest.raises(ConfigurationError, match="is met by no manifest"):
        meant("nobody/*", known=(ACME,))
    (folder / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="holds no manifest"):
        meant("./fleet/empty")


@pytest.mark.usefixtures("folder")
def test_what_could_be_a_key_is_one() -> None:
    """A single key means what it has always meant, whatever folders there are; with a dot it is a folder."""
    assert Wanted(["fleet/inner"], list).is_one
    assert meant("fleet/inner") == [Meant("fleet/inner", IntegrationKey("fleet", "inner"))]
    assert [one.key for one in meant("./fleet/inner")] == [ZOO]
    assert not Wanted(["./fleet/inner"], list).is_one
    assert not Wanted(["fleet/*.yaml"], list).is_one
    assert not Wanted(["acme/production", "zoo/production"], list).is_one


def test_each_once_and_twins_are_nobodys(folder: Path) -> None:
    """The same file or key twice is one; two files about one integration are faulty both, and each fault names both."""
    assert [one.key for one in meant("fleet", "fleet/acme.yaml", "./fleet/acme.yaml", "acme/production")] == [ACME, ZOO]
    (folder / "copy.yaml").write_bytes((folder / "acme.yaml").read_bytes())
    first, second, zoo = meant("fleet")
    for one in (first, second):
        assert one.fault
        assert one.fault.problem == "acme.yaml and copy.yaml are all about it"
    assert (zoo.key, zoo.fault) == (ZOO, None)
    (folder / "inner" / "acme.yaml").write_bytes((folder / "acme.yaml").read_bytes())
    assert "fleet/inner/acme.yaml" in str(meant("fleet")[0].fault), "the names alone do not tell them apart"


def test_the_settings_folder(folder: Path) -> None:
    """As for a key, folders inside it do not count; a broken file is meant, too, and whoever reads it says why."""
    (folder / "broken.yaml").write_text("tenant: [nobody")
    assert [(Path(one.word).name, one.key) for one in of_folder(folder)] == [("acme.yaml", ACME), ("broken.yaml", None)]
    with pytest.raises(ConfigurationError, match="is not a folder"):
        of_folder(folder / "nowhere")


@pytest.mark.parametrize(
    "text",
    [
        "tenant: acme\nenvironment: production\n",
        "# tenant: zoo\r\ntenant: 'acme'\r\nenvironment: \"production\"  # really\r\n",
        "{tenant: acme, environment: production}",
        '"tenant": acme\n"environment": production\n',
        "tenant: acme\nenvironment: production\ntenant: acme\n",
        "gong:\n  description: |\n    tenant: zoo\n    environment: sandbox\ntenant: acme\nenvironment: production\n",
        'gong: "\ntenant: zoo\nenvironment: sandbox"\ntenant: acme\nenvironment: production\n',
        "tenant: &a acme\nenvironment: production\n",
    ],
)
def test_a_glance_never_says_another_than_yaml(text: str) -> None:
    """It says the same as reading all of it, or nothing."""
    assert claimed(text.encode()) in (None, claimed_in(parse(text.encode()).data))
    assert claimed_in(parse(text.encode()).data) in (ACME, None)
