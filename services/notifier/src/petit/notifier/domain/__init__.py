"""What the live edge is about, without any I/O: frames, the ring of recent signals, people, ticks, resuming."""
