"""The two ways in which a mail is refused before it exists.

`FormError`: the mailing itself is wrong; no letter of it can be made.
`FillError`: one recipient's values cannot be put into a sound form; only that letter fails.
Neither message ever holds a value: values are names, addresses and tokens of people.
"""


class FormError(ValueError):
    """A mailing that must not become a form. The message names the rule and what to do."""


class FillError(ValueError):
    """One letter that cannot be made.

    `slot` names the slot (None until `Form.fill` knows it), `reason` says what is wrong
    with its value and what to do, without repeating the value.
    """

    def __init__(self, reason: str, *, slot: str | None = None) -> None:
        self.slot = slot
        self.reason = reason
        super().__init__(f"slot '{slot}': {reason}" if slot else reason)
