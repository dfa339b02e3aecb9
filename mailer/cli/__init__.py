"""The command line: the same services as everywhere, from a terminal.

A command reads its arguments, calls a service and prints what came of it. Nothing
here decides anything, and no address is printed.
"""
