"""Incidents, for the desk. What sends mail imports mailer.services.incidents, never a module of this room."""

from mailer.services.incidents import close_all_but, close_incident, open_incidents, raise_incident

__all__ = ["close_all_but", "close_incident", "open_incidents", "raise_incident"]
