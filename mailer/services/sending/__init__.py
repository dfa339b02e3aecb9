"""The corridor: announce, expand, claim, compose, deliver, settle, and the sweep that repeats it."""
