"""What goes wrong on the way: cancelled requests, clients that leave, crowds."""
