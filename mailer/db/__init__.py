"""The one truth: tables, sealed columns, and the queries that touch many rows.

Nothing here decides what the organisation does (services) or speaks to the
outside. Rows never leave db and services.
"""
