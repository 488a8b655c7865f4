"""The dashboard in a browser on this machine: textual-serve's page behind our own access checks.

Every connection gets a dashboard process of its own. When the browser disconnects, the process
hands its run over and ends. Of textual-serve only the page is used, not its service.
"""
