"""The shapes of requests and answers (not Flask's view functions: those are the handlers in api/)."""
