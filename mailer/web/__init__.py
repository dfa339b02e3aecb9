"""The web app: thin sync handlers that read a form, call one service and render a page.

Pages need no JavaScript, no cookie and no third party. GET, HEAD and OPTIONS never change
anything. No path and no query is ever logged: addresses under /u, /c and /p are keys.
"""
