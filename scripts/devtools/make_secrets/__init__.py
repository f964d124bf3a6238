"""The Secrets of an environment: what is missing is created, what is there is never touched."""
