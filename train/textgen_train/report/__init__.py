"""What shows how a training run goes: the watchers that write files and use the display."""
