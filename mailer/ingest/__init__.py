"""Ingest: what the world publishes, read into drafts that a person approves.

Pages become draft statements and symposia, CSV files become people or rejects.
Nothing here stores, mails or guesses: what cannot be read for certain is held
with a sentence for staff. This room knows no database, no queue and no settings.
"""
