"""The local run: everything on this machine, started together and ended together."""
