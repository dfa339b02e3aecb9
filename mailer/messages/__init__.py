"""Messages: facts in, bytes out.

Everything a mail is made of: templates, Markdown, forms and their slots, headers,
calendars, times in words, tokens. Nothing here reads a clock, a database, a queue,
a setting or the network: what is needed is an argument.
"""
