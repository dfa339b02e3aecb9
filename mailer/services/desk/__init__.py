"""Staff: campaigns, previews, the audit log, reports and the state of the house."""
