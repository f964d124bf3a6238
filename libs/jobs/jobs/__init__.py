"""Durable background jobs: the row in the service's own database is the truth, the broker's message a hint."""
