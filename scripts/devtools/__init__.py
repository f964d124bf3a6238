"""What the scripts beside this folder share; it serves development and tests and is never installed."""
