"""The optimizer Muon, and the state of optimizers."""
