"""Statements and symposia: how they come in, are published, move, and whom that concerns."""
