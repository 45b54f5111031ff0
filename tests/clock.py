"""An event loop whose time a test moves on, so that a long time takes none."""

import asyncio

__all__ = ["ClockLoop", "pass_time"]


class ClockLoop(asyncio.SelectorEventLoop):
    """Its time is the system's, and what has been passed."""

    passed = 0.0

    def time(self):
        return super().time() + self.passed


def pass_time(seconds):
    """Have so many seconds pass at once, on the loop that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    loop.passed += seconds
