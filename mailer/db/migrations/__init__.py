"""Alembic migrations. A migration that has landed is never edited: a mistake is mended by a new one."""
