"""What ``textgen-bench`` measures, a section a function."""
