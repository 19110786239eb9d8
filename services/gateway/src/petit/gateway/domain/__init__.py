"""What the gateway decides by itself: pure functions and values, given time and ids as arguments."""
