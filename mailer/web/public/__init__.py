"""Pages for subscribers, attendees and anybody else: no account, no cookie, nothing to log in to."""
