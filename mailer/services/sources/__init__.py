"""Watched sources: fetched politely, compared, and told to staff as drafts and proposals."""
