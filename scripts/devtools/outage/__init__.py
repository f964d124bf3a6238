"""What is asked of deployed services while the broker is away, and after it is back."""
