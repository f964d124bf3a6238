"""Shapes of requests and answers (pydantic), not Flask's view functions: those are in `api`."""
