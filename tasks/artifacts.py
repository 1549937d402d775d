"""What Prefect's pages show of a run: the kit and the verdict, as Markdown artifacts. Never a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey

from keyturn.domain.attempt import Execution
from keyturn.domain.gate import Gate
from keyturn.domain.health import Health
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.kit import kit as make_kit
from keyturn.domain.kit import render_markdown
from keyturn.domain.sweep import Entry
from keyturn.domain.turn_kit import turn_kit
from keyturn.domain.verdict import LAYER_MEANING, Verdict
from keyturn.services.journey import journey
from keyturn.services.rotation.asking import what_would_happen
from keyturn.wiring import Ports

_FLEET = "fleet"


def kit(ports: Ports, run: Execution) -> None:
    """Show the filled-in Gong form with its digest."""
    sealed = ports.ledger.manifest(run.digest)
    text = render_markdown(make_kit(sealed, str(ports.settings.gong.admin_url)))
    create_markdown_artifact(text, key=_key("kit", run), description=f"Gong's form for {run.key}")


def verdict(run: Execution, result: Verdict) -> None:
    """Show the verdict, with what was not tested."""
    rows = [
        f"| {r.layer} | {LAYER_MEANING[r.layer]} | **{r.status}** | {_cell(r.evidence)} | {_cell(r.remedy)} |"
        for r in result.layers
    ]
    untested = [r.layer.value for r in result.layers if r.status == "not tested"]
    note = f"\n\nNot tested, so not proven: {', '.join(untested)}." if untested else ""
    head = "| layer | what it says | status | evidence | remedy |\n| --- | --- | --- | --- | --- |\n"
    text = f"# Verdict on {run.key}\n\n" + head + "\n".join(rows) + note
    create_markdown_artifact(text, key=_key("verdict", run), description=f"Verdict on {run.key}")


def turn(ports: Ports, run: Execution) -> None:
    """Show what a rotation asks people to do, and by when."""
    sealed = ports.ledger.manifest(run.digest)
    steps = what_would_happen(sealed, ports.ledger.attempt(run.attempt_id).terms, ports.clock.now())
    text = f"# Turning the secret of {run.key}\n\n" + "\n".join(f"{n}. {_cell(s)}" for n, s in enumerate(steps, 1))
    create_markdown_artifact(text, key=_key("rotation", run), description=f"Rotation of {run.key}")


def click(ports: Ports, run: Execution, gate: Gate) -> None:
    """Show exactly what to click in Gong, as the open question has it."""
    text = render_markdown(
        turn_kit(ports.ledger.manifest(run.digest), gate.question, str(ports.settings.gong.admin_url))
    )
    create_markdown_artifact(text, key=_key("click", run), description=f"What to click in Gong for {run.key}")


def rotated(ports: Ports, run: Execution) -> None:
    """Show what a rotation did, receipt by receipt."""
    rows = [
        f"| {s.stage} | {s.at:%Y-%m-%d %H:%M} | {_cell(s.says)} |" for s in journey(ports.ledger, run.key).steps if s.at
    ]
    text = f"# The secret of {run.key} was turned\n\n| stage | at (UTC) | |\n| --- | --- | --- |\n" + "\n".join(rows)
    create_markdown_artifact(text, key=_key("rotation", run), description=f"Rotation of {run.key}")


def sweep(entries: Sequence[Entry]) -> None:
    """Show the plan of a sweep."""
    rows = [
        {
            "integration": str(e.key),
            "due": f"{e.due_at:%Y-%m-%d}" if e.due_at else "",
            "what": e.what.value,
            "why": e.why,
        }
        for e in entries
    ]
    create_table_artifact(rows, key="sweep", description="What the last sweep started, and why not the others")


def fleet(members: Mapping[IntegrationKey, Health]) -> None:
    """Show every integration as the watch left it: what is raised, or what was seen last."""
    rows = [{"integration": str(key), **_at_a_glance(health)} for key, health in sorted(members.items())]
    with get_client(sync_client=True) as client:
        only = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[_FLEET]))
        known = client.read_latest_artifacts(artifact_filter=only, limit=1)
        if known:  # Prefect keeps every version: a table of the whole fleet each minute would fill its database
            client.update_artifact(known[0].latest_id, ArtifactUpdate(data=json.dumps(rows)))
            return
    create_table_artifact(rows, key=_FLEET, description="All integrations as the watch sees them")


def _at_a_glance(health: Health) -> dict[str, str]:
    checked = f"{health.checked_at:%Y-%m-%d %H:%M} UTC" if health.checked_at else "never"
    return {"health": health.words, "checked": checked}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _key(kind: str, run: Execution) -> str:
    """Prefect allows lower-case letters, digits and dashes in an artifact's key."""
    return f"{kind}-{run.key.tenant}-{run.key.environment}"
