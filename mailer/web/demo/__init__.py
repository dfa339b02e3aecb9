"""The demo's inbox: every mail the demo has sent, to look at. Mounted only when there is an inbox."""
