"""What goes wrong on the way: requests that are cancelled, clients that leave, crowds."""
