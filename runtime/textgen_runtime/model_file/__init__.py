"""The model file: where it is found, its graph and its metadata."""
