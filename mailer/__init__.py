"""mailer: statement alerts, symposium reminders and campaigns, each to everyone once."""
