"""Fault drills: real processes, real faults, and an auditor who believes only the database and the sink.

`make drill` runs the table of faults, `make drill ARGS=quick` a small one. Nothing
here is part of the product; nothing in the product knows of it.
"""
