"""What is asked of deployed services about sessions and keys, from outside, as a client sees it."""
