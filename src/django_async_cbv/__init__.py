"""Django's class-based generic views, async and drop-in."""

__version__ = "0.1.0"

__all__ = ["__version__"]
