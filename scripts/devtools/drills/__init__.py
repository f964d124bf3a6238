"""What drills do to a running product, and what they count and measure while they do it."""
