from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from keyturn.errors import ConfigurationError
from keyturn.settings import Settings, VaultAuth, VaultSettings, load, reference

CANARY = "c4n4ry"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No keyturn.toml and no KEYTURN_ variable of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)


def _faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(environ)
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value.args)
    return [line.strip() for line in caught.value.problem.splitlines()[1:]]


def _leaves(model: type[BaseModel], above: str = "KEYTURN_") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, f"{above}{name.upper()}__")
        else:
            yield above + name.upper()


def test_without_anything_the_defaults_hold() -> None:
    """An empty environment is no fault."""
    assert load({}) == Settings()


def test_the_environment_is_read_by_its_names() -> None:
    """Each kind of value arrives as its type."""
    settings = load(
        {
            "KEYTURN_VAULT__ADDR": "https://vault.example.com:8200",
            "KEYTURN_VAULT__AUTH": "approle",
            "KEYTURN_VAULT__ROLE_ID": "r",
            "KEYTURN_VAULT__SECRET_ID": "s",
            "KEYTURN_GONG__PROBE": "false",
            "KEYTURN_STACKONE__LINK_EXPIRES_S": "60",
            "KEYTURN_LEDGER__URL": "postgresql://u:p@h/keyturn",
        }
    )
    assert str(settings.vault.addr) == "https://vault.example.com:8200/"
    assert settings.vault.auth is VaultAuth.APPROLE
    assert (settings.gong.probe, settings.stackone.link_expires_s) == (False, 60)
    assert settings.require_ledger_url() == "postgresql://u:p@h/keyturn"


def test_an_empty_variable_is_not_set() -> None:
    """As compose files and shells leave them behind."""
    assert load({"KEYTURN_VAULT__MOUNT": "", "KEYTURN_VAULT__CA_FILE": "", "KEYTURN_CONFIG": ""}) == Settings()


def test_the_environment_wins_over_the_file() -> None:
    """The file fills in what the environment does not say."""
    Path("keyturn.toml").write_text('manifests = "here"\n[vault]\nmount = "file"\nnamespace = "team"\n')
    settings = load({"KEYTURN_VAULT__MOUNT": "environment"})
    assert (settings.vault.mount, settings.vault.namespace) == ("environment", "team")
    assert settings.manifests == Path("here")


def test_another_file_can_be_named() -> None:
    """`KEYTURN_CONFIG` is read instead of keyturn.toml."""
    Path("keyturn.toml").write_text('[vault]\nmount = "one"\n')
    Path("other.toml").write_text('[vault]\nmount = "two"\n')
    assert load({"KEYTURN_CONFIG": "other.toml"}).vault.mount == "two"


def test_all_faults_are_reported_at_once_by_variable() -> None:
    """One run, all corrections: bad values, missing partners, unknown names, a missing file."""
    found = _faults(
        {
            "KEYTURN_VAULT__ADDR": f"nonsense-{CANARY}",
            "KEYTURN_VAULT__AUTH": "approle",
            "KEYTURN_VAULT__CA_FILE": f"/nowhere/{CANARY}.pem",
            "KEYTURN_VAULT__MOUNT": f"{CANARY} ?",
            "KEYTURN_GONG__PROBE": CANARY,
            "KEYTURN_LEDGER__URL": f"mysql://u:{CANARY}@h/x",
            "KEYTURN_STACKONE__BASE_URL": f"http://{CANARY}.example.com",
            "KEYTURN_VAULT_TOKEN": CANARY,
            "KEYTURN_CONFIG": "missing.toml",
        }
    )
    assert {line.partition(":")[0] for line in found} == {
        "KEYTURN_VAULT__ADDR",
        "KEYTURN_VAULT__CA_FILE",
        "KEYTURN_VAULT__MOUNT",
        "KEYTURN_VAULT__ROLE_ID",
        "KEYTURN_VAULT__SECRET_ID",
        "KEYTURN_GONG__PROBE",
        "KEYTURN_LEDGER__URL",
        "KEYTURN_STACKONE__BASE_URL",
        "KEYTURN_VAULT_TOKEN",
        "KEYTURN_CONFIG",
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("KEYTURN_VAULT_ADDR", "Did you mean KEYTURN_VAULT__ADDR?"),
        ("KEYTURN_STACKONE__APIKEY", "Did you mean KEYTURN_STACKONE__API_KEY?"),
        ("KEYTURN_QQQQQ", "Unset it."),
        ("KEYTURN_VAULT", "is unknown"),
    ],
)
def test_an_unknown_variable_is_met_with_the_nearest_known_one(name: str, words: str) -> None:
    """A slip of the keyboard is not passed over in silence."""
    (fault,) = _faults({name: CANARY})
    assert fault.startswith(f"{name}: is unknown")
    assert words in fault


def test_the_variables_of_others_are_left_alone() -> None:
    """The demo and the tests read their own."""
    assert load({"KEYTURN_DEMO__CLIENT_SECRET": "x", "KEYTURN_TEST_POSTGRES": "x"}) == Settings()


def test_faults_of_the_file_name_the_key() -> None:
    """An unknown key, a wrong branch and a wrong value, each where it stands."""
    Path("keyturn.toml").write_text(f'gong = "{CANARY}"\n[vault]\nadr = "{CANARY}"\ntimeout_s = "{CANARY}"\n')
    found = sorted(_faults({}))
    assert [line.partition(":")[0] for line in found] == [
        "KEYTURN_VAULT__TIMEOUT_S",
        "gong in keyturn.toml",
        "vault.adr in keyturn.toml",
    ]
    assert "Did you mean KEYTURN_VAULT__ADDR?" in found[-1]


def test_a_file_that_is_not_toml_is_reported_with_the_rest() -> None:
    """It says where it breaks off, and other faults are still found."""
    Path("keyturn.toml").write_text(f"[vault]\ntoken = {CANARY}\n")
    found = _faults({"KEYTURN_GONG__PROBE": "perhaps"})
    assert "is not TOML" in found[0]
    assert "line 2" in found[0]
    assert len(found) == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://a.example.com"])
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    """Loopback addresses and https are fine."""
    assert str(load({"KEYTURN_STACKONE__BASE_URL": url}).stackone.base_url).startswith(url)


def test_a_ca_file_has_to_hold_a_certificate() -> None:
    """Found out at the start, and not as a server that cannot be reached."""
    Path("ca.pem").write_text("nothing")
    assert "no file with a certificate" in _faults({"KEYTURN_VAULT__CA_FILE": "ca.pem"})[0]


def test_an_address_with_a_password_is_refused() -> None:
    """It would be printed wherever the address is."""
    assert "no user name" in _faults({"KEYTURN_VAULT__ADDR": f"https://u:{CANARY}@vault.example.com"})[0]


def test_what_a_command_needs_is_asked_for_by_name() -> None:
    """Settings without a default are needed only where they are used, and the words say how to set them."""
    settings = Settings()
    for needed, name in (
        (settings.require_ledger_url, "KEYTURN_LEDGER__URL"),
        (settings.require_stackone_key, "KEYTURN_STACKONE__API_KEY"),
        (settings.vault.require_sign_in, "KEYTURN_VAULT__TOKEN"),
    ):
        with pytest.raises(ConfigurationError, match=f"{name}: is not set → "):
            needed()
    VaultSettings(token=SecretStr("t")).require_sign_in()
    VaultSettings(auth=VaultAuth.APPROLE, role_id="r", secret_id=SecretStr("s")).require_sign_in()


def test_settings_are_frozen_and_show_no_secret() -> None:
    """Nobody changes them on the way, and printing them gives nothing away."""
    settings = load({"KEYTURN_VAULT__TOKEN": CANARY, "KEYTURN_STACKONE__API_KEY": CANARY})
    with pytest.raises(ValidationError, match="frozen"):
        settings.vault.mount = "other"  # type: ignore[misc]
    assert CANARY not in repr(settings) + str(settings) + settings.model_dump_json()


def test_settings_made_in_code_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `load` looks at it."""
    monkeypatch.setenv("KEYTURN_VAULT__MOUNT", "environment")
    assert Settings().vault.mount == "keyturn"
    assert load().vault.mount == "environment"


def test_the_reference_has_every_setting() -> None:
    """One row each, with a meaning and a default, and no secret's default."""
    rows = [line.strip("|").split(" | ") for line in reference().splitlines()[2:]]
    assert [row[0].strip(" `") for row in rows] == list(_leaves(Settings))
    assert all(len(row) == 3 and row[1] and row[2].strip() for row in rows)
    assert "| `KEYTURN_GONG__PROBE` | Whether credentials are tried on Gong's token endpoint. | `true` |" in reference()
