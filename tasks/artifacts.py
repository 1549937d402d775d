"""What Prefect's pages show of a run: the kit and the verdict, as Markdown artifacts. Never a secret."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact

from keyturn.domain.attempt import Execution
from keyturn.domain.kit import kit as make_kit
from keyturn.domain.kit import render_markdown
from keyturn.domain.verdict import LAYER_MEANING, Verdict
from keyturn.wiring import Ports


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


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _key(kind: str, run: Execution) -> str:
    """Prefect allows lower-case letters, digits and dashes in an artifact's key."""
    return f"{kind}-{run.key.tenant}-{run.key.environment}"
