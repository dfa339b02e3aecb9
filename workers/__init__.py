"""The processes: Celery's application and doors, the beat, the embedded house, and the mailer command."""
