"""Entry point of the `mailer` command: a process of its own is started without all the other commands."""

import os
import sys


def main() -> None:
    """Run the command that is named."""
    # Secrets may be in our environment; a child process or a crash report must not inherit a core of them.
    os.umask(0o077)
    from workers import process_commands

    if len(sys.argv) > 1 and sys.argv[1] in process_commands.NAMES:
        process_commands.app()
    else:
        from workers.console import app

        app()
