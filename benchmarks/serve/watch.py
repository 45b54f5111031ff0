"""Look at the connections of a PostgreSQL database while something else goes on."""

import threading
from collections import Counter
from types import TracebackType
from typing import Any, Self

import psycopg

__all__ = ["Watch"]

QUERY = """
SELECT application_name,
       state LIKE 'idle in transaction%%',
       coalesce(extract(epoch FROM now() - xact_start), 0)::float
FROM pg_stat_activity
WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


class Watch:
    """
    Samples pg_stat_activity in a thread.

    `most` has the most connections of each application that were seen at once;
    `longest_idle` how many seconds a transaction was old that nobody worked in.
    """

    def __init__(self, settings: dict[str, Any], *, seconds: float = 0.05) -> None:
        self.settings = settings
        self.seconds = seconds
        self.most: Counter[str] = Counter()
        self.longest_idle = 0.0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._connection = psycopg.connect(
            host=self.settings["HOST"],
            port=self.settings["PORT"],
            user=self.settings["USER"],
            password=self.settings["PASSWORD"],
            dbname=self.settings["NAME"],
            application_name="watch",
            autocommit=True,
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while not self._ends.wait(self.seconds):
            self.look()

    def look(self) -> tuple[Counter[str], int]:
        """Return the connections of each application, and all idle transactions."""
        rows = self._connection.execute(QUERY, [self.settings["NAME"]]).fetchall()
        now = Counter(name for name, _, _ in rows)
        self.most |= now
        ages = [age for _, is_idle, age in rows if is_idle]
        self.longest_idle = max([self.longest_idle, *ages])
        return now, len(ages)
