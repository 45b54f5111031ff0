"""Django's own tests, run with its views swapped for ours."""
