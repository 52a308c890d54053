"""The names of hyperparameters in model files."""

# Those that differ from the names in recipes. They are part of the file format: programs read them, and old
# files have them.
STORED_NAMES = {
    "sequence_length": "slice_length",
    "muon_lr": "muon_rate",
    "muon_weight_decay": "muon_decay",
    "grad_clip": "clip",
}

_RECIPE_NAMES = {stored: name for name, stored in STORED_NAMES.items()}


def stored_option_name(name: str) -> str:
    """Return the command-line name of a hyperparameter of a model file, without the leading dashes."""
    return _RECIPE_NAMES.get(name, name).replace("_", "-")
