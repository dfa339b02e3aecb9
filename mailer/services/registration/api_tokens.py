"""API tokens: what another tool shows to hand in sign-ups. Shown once when made, stored as a hash.

A token is 256 random bits, so a plain hash of it cannot be guessed back, and comparing by
that hash tells nothing by its time.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.doors import ApiToken
from mailer.services import audit

PREFIX = "mlr_"  # so that a scanner for leaked secrets finds one
LONGEST_TOKEN = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Scope(StrEnum):
    """What a token may do."""

    REGISTRATIONS = "registrations"  # hand in sign-ups, and nothing else
    DRAFTS = "drafts"  # hand in statements and symposia as drafts, which mail nobody


class TokenRefusal(Exception):
    """A token cannot be made or ended like this; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """Who stands behind a valid token."""

    id: int
    name: str
    scopes: frozenset[str]


def make(
    session: Session, name: str, scopes: list[Scope], *, days: int | None, actor: str, now: datetime
) -> str:
    """Make a token and return it; it is not to be had again. Raises TokenRefusal."""
    if not _NAME.fullmatch(name):
        raise TokenRefusal('A token\'s name is small letters, digits and hyphens, such as "website-form".')
    if session.scalars(select(ApiToken).where(ApiToken.name == name)).one_or_none() is not None:
        raise TokenRefusal(f'There is a token "{name}" already. Revoke it, or choose another name.')
    if not scopes:
        raise TokenRefusal("Say what the token may do: --scope registrations")
    token = PREFIX + secrets.token_urlsafe(32)
    session.add(
        ApiToken(
            name=name,
            digest=_digest(token),
            scopes=[scope.value for scope in scopes],
            created_at=now,
            expires_at=now + timedelta(days=days) if days else None,
        )
    )
    _note(session, "api-token-made", name, actor, now)
    return token


def revoke(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """End a token at once and for good. Raises TokenRefusal for an unknown name."""
    found = session.scalars(select(ApiToken).where(ApiToken.name == name)).one_or_none()
    if found is None:
        raise TokenRefusal(f'There is no token "{name[:64]}". List them with: mailer api-token list')
    if found.revoked_at is None:
        found.revoked_at = now
        _note(session, "api-token-revoked", name, actor, now)


def bearer_of(session: Session, authorization: str, now: datetime) -> Bearer | None:
    """Whom the header `Authorization: Bearer TOKEN` lets in; None for everybody else."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.casefold() != "bearer" or not token or len(token) > LONGEST_TOKEN:
        return None
    found = session.scalars(select(ApiToken).where(ApiToken.digest == _digest(token))).one_or_none()
    if found is None or found.revoked_at is not None:
        return None
    if found.expires_at is not None and found.expires_at <= now:
        return None
    return Bearer(id=found.id, name=found.name, scopes=frozenset(found.scopes))


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _note(session: Session, action: str, name: str, actor: str, now: datetime) -> None:
    audit.record(session, actor=actor, action=action, subject=f"api-token:{name}", now=now)
