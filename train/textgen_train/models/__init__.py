"""Networks, one module for each cell."""
