"""What can be done with contacts: plain functions on a session, each committing once."""
