"""Console, files, JSON text, interrupts and processors. The lowest room: it imports no other."""
