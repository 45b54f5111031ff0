"""System checks: what `as_view()` refuses, reported for every view in the URLconf."""
