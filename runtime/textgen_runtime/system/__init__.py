"""The ground floor: console, files, JSON text, interrupts and processors."""
