"""What is said when something cannot be done with a statement."""


class UnknownStatement(Exception):
    """No statement has this slug or number; the message says how to list them."""


class StatementRefusal(Exception):
    """The statement is not in a state for this, or what was given cannot be taken; the message says why."""
