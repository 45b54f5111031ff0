"""Bytes of what a stream sends, made by functions that do no I/O."""
