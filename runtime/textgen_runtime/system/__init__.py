"""Console, files, JSON text, interrupts and processors. This package imports only ``errors``."""
