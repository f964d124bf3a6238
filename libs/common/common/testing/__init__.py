"""Help for tests of this repository: databases, clocks, tokens. Nothing here is imported by a service."""
