"""Console, files, JSON text, interrupts and processors. This room imports only ``errors``."""
