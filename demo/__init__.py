"""The demo: `python -m demo` shows the whole path on this machine and checks what it shows.

Real API server, real operator, real market over HTTP (the sandbox), real processes. Nothing here
is imported by the operator.
"""
