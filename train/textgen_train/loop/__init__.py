"""The training loop, and the state that goes from one update to the next."""
