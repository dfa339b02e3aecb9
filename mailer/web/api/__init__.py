"""The doors for programs: JSON in, JSON out, a bearer token in place of a session."""
