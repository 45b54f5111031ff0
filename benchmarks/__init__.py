"""Our views against the same pages by hand, and against other ways to serve them."""
