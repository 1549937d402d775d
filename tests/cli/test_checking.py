"""`keyturn check`, and the fleet at a glance."""

from __future__ import annotations

from typing import Any

from tests.cli.test_people import opened


def onboarded(office: Any) -> str:
    """An integration from nothing to a linked account; the profile's id. Its name is no other test's."""
    manifest = office.command.folder / "integrations" / "ours.yaml"
    name = f"Gong {office.key}"
    manifest.write_text(manifest.read_text().replace("profile_name: Gong acme/production", f"profile_name: {name}"))
    digest = opened(office)
    key = str(office.key)
    office.as_("bob").json("approve", key, "--digest", digest)
    office.run()
    grace = office.as_("grace")
    pair = office.gong.create_integration(grace.json("plan", key)["kit"]["steps"])
    grace.json("submit", key, "--stdin", given=f"{pair.client_id}\n{pair.client_secret}\n")
    office.run()
    office.stackone.create_profile(name, pair.client_id, pair.client_secret, ["api:users:read"])
    office.run()
    office.gong.consent(grace.json("link", key)["url"])
    office.run()
    return next(p.id for p in office.ports.hub.profiles("gong") if p.name == name)


def test_check_and_the_fleet(office: Any) -> None:
    """All well is 0, unknown is 3, drift is 1 with cause and remedy; seen twice it is raised, and the fleet says so."""
    command, key = office.command, str(office.key)
    profile = onboarded(office)
    (before,) = command.json("status", "--all")
    assert (before["says"], before["health"], before["stages_done"]) == ("onboarding completed", "never checked", 8)
    well = command("check", key)
    assert (well.returncode, well.stdout, well.stderr) == (0, f"{key}  ok\n", "")
    (dark,) = command.having(KEYTURN_STACKONE__BASE_URL="http://127.0.0.1:1").json("check", "--all", code=3)
    assert dark["drifts"] == []
    assert {o["subject"] for o in dark["observations"] if o["outcome"] == "unknown"} == {"profile", "accounts"}
    office.stackone.press(profile, "disable")
    (seen,) = command.json("check", "--all", code=1)
    assert [drift["cause"] for drift in seen["drifts"]] == ["profile_disabled"]
    assert (seen["onboarded"], seen["turned"], len(seen["observations"])) == (True, [], 7)
    again = command("check", key)
    assert again.returncode == 1
    assert f"  profile_disabled  profile {profile} is disabled\n    → " in again.stdout
    assert f"`keyturn check {key}`." in again.stdout
    (after,) = command.json("status")
    assert (after["health"], [c["cause"] for c in after["raised"]]) == ("profile_disabled", ["profile_disabled"])
    assert (after["secret_age_days"], after["checked_at"] is not None) == (0, True)
    assert after["next_rotation_at"] > after["checked_at"]
    shown = command.having(COLUMNS="200")("status", "--all").stdout
    assert all(word in shown for word in ("onboarding", "8/8", "profile_disabled", "0 d", after["checked_at"][:4]))
    manifest = command.folder / "integrations" / "ours.yaml"
    manifest.write_text(manifest.read_text().replace("grace_hours: 168", "grace_hours: 24"))
    (edited,) = command.json("check", key, code=1)
    assert {drift["cause"] for drift in edited["drifts"]} == {"profile_disabled", "manifest_changed"}


def test_the_fleet_says_who_is_waited_for(office: Any) -> None:
    """An integration that was begun says at which stage it is, who must do what, and that nobody has looked at it."""
    opened(office)
    (line,) = office.command.json("status", "--all")
    assert (line["says"], line["stage"], line["health"]) == ("onboarding active", "approve", "never checked")
    assert f"keyturn approve {office.key}" in line["waits_for"]
    assert f"{office.key} waits for 1 approval" in office.command("status", "--all").stdout
    assert (line["secret_age_days"], line["next_rotation_at"]) == (None, None)
    begun = office.command("check", "--all")
    assert (begun.returncode, "never onboarded to its end" in begun.stdout) == (0, True)


def test_which_integration(office: Any) -> None:
    """Without a key or `--all` nothing is guessed, and an unknown key is told at once."""
    assert "--all" in office.command.json("check", code=2)["remedy"]
    assert office.command.json("check", "nobody/production", code=1)["problem"] == "was never onboarded"
