"""What the ledger's tables are put together from."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()


def words(name: str, *, nullable: bool = False) -> Column[str]:
    """Text of any length."""
    return Column(name, Text, nullable=nullable)


def moment(name: str, *, nullable: bool = False) -> Column[datetime]:
    """A moment; PostgreSQL keeps it in UTC."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def json(name: str) -> Column[object]:
    """Anything that JSON can say, not null."""
    return Column(name, JSONB, nullable=False)


def many(name: str) -> Column[list[str]]:
    """A list of texts."""
    return Column(name, ARRAY(Text), nullable=False)


def one_of(column: str, values: type[StrEnum], name: str) -> CheckConstraint:
    """A constraint to the values of an enumeration."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(v)) for v in values)})", name=name)
