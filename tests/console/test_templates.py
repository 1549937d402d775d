"""What holds for every template."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from keyturn.console.render import asset, environment

_TEMPLATES = files("keyturn.console") / "templates"
NAMES = environment().list_templates()


@pytest.mark.parametrize("name", NAMES)
def test_static_files_are_named_by_their_content(name: str) -> None:
    """A bare address would leave an old file in a browser beside a new page for an hour."""
    source = (_TEMPLATES / name).read_text()
    assert "/static/" not in source
    for named in re.findall(r"asset\('([^']*)'\)", source):
        assert re.fullmatch(rf"/static/{re.escape(named)}\?v=[0-9a-f]{{10}}", asset(named))


def test_a_macro_is_written_once() -> None:
    """Words are put into HTML in one way, wherever they stand."""
    written = [name for each in NAMES for name in re.findall(r"{% macro (\w+)\(", (_TEMPLATES / each).read_text())]
    assert sorted(written) == sorted(set(written))
