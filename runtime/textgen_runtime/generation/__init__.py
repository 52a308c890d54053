"""Models, and the texts that they generate."""
