"""A real MySQL server for tests and local runs: one that is named, one that is installed, or one that is fetched."""
