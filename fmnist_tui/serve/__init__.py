"""The dashboard in a browser on this machine: textual-serve's page behind a guard of our own.

A visitor's dashboard is a process of its own, which ends when the visitor goes and hands
its run over before. What textual-serve brings is the terminal in the page; it is let at
nothing but that page.
"""
