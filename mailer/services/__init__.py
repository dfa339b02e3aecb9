"""What the organisation does, one sentence per function.

sending/ walks the corridor, programme/ keeps statements and symposia, audience/
serves subscribers, desk/ serves staff. `now` is always an argument.
"""
