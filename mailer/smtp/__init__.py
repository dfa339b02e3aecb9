"""The SMTP engine: envelopes and bytes in, outcomes out.

This room knows no campaign, no database, no queue and no settings object:
whatever it needs is an argument. It must never log, keep or show a
recipient's address, and never send the bytes of a letter's final dot before
the journal holds a record of it.
"""
