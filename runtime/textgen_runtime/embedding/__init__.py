"""Sources for programs in C: the C core as one file, and models as arrays."""
