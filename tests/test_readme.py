"""What the documents say of the code, the commands and each other."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import typer

from keyturn import settings
from keyturn.cli.app import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "deployments").rglob("*.md"))]


def text_of(document: Path) -> str:
    """A document's text."""
    return document.read_text(encoding="utf-8")


def code_of(document: Path) -> str:
    """What a document shows as code: its blocks, and its words between backticks, one a line."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text_of(document), flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text_of(document), flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", prose)])


def anchors_of(document: Path) -> set[str]:
    """What a link may point to inside a document: its headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", text_of(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_settings_are_those_of_the_code() -> None:
    """Between the two markers stands every setting with meaning and default, as `make docs` writes them."""
    between = text_of(README).partition("<!-- settings: begin -->")[2].partition("<!-- settings: end -->")[0]
    assert between.strip() == settings.reference().strip(), "run `make docs`"


def test_make_docs_has_nothing_to_do() -> None:
    """Every document that comes from the code is up to date."""
    for path, text in runpy.run_path(str(ROOT / "docs" / "write.py"))["documents"]().items():
        assert text_of(path) == text, f"run `make docs`: {path.name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_inside_the_project_leads_somewhere(document: Path) -> None:
    """Its file exists, and so does the heading that it names."""
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_every_command_that_is_named_exists() -> None:
    """`keyturn …` in any document is a command, unless it names a thing, and `make …` a target of the Makefile."""
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # it is a group
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE))
    for document in DOCUMENTS:
        code = code_of(document)
        assert set(re.findall(r"(?<![/=])(?<!-n )\bkeyturn ([a-z]+)\b", code)) <= commands, document
        assert set(re.findall(r"^make ([a-z-]+)\b", code, flags=re.MULTILINE)) <= targets, document


def test_the_readme_begins_with_what_a_newcomer_needs() -> None:
    """One sentence, the journey drawn, the two commands: all before the first heading below the title."""
    head = text_of(README).partition("\n## ")[0]
    assert re.match(r"# keyturn\n\n[^\n]+\.\n\n```\n manifest ─► register", head)
    assert {"make demo", "make test"} <= set(re.findall(r"^make [a-z]+", head, flags=re.MULTILINE))


def test_every_verb_says_what_it_does() -> None:
    """`make` without a verb lists those that are meant for people."""
    makefile = text_of(ROOT / "Makefile")
    listed = set(re.findall(r"^#   make ([a-z-]+) ", makefile, flags=re.MULTILINE))
    verbs = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE)) - {"help", "debian", "clean", "peers-lock"}
    assert listed == verbs
    first, last = map(int, re.findall(r"sed -n '(\d+),(\d+)s", makefile)[0])
    assert makefile.splitlines()[first - 1 : last] == [
        line for line in makefile.splitlines() if line.startswith("#   make")
    ]
