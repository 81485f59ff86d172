"""The boards: the core's ports on real pins, and the loop that runs them."""
