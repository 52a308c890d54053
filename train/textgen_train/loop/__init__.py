"""The training loop: updates, evaluations, the state that goes from one update to the next, and watchers."""
