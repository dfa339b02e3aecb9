"""The speed tables: what the corridor does on this machine, against real servers, in numbers.

Run it with `make bench`. Nothing here is imported by the program, no address is a
real one, and no figure is ever written by hand.
"""
