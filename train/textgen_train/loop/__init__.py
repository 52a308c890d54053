"""The training loop: trainers, evaluations, checkpoints and watchers."""
