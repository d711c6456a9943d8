"""A shape as locust asks for it: every second, how many users there should be."""
from __future__ import annotations

import argparse

from locust import LoadTestShape

from loadtests.shapes.users_at import users_at

RUN_S = 300.0
STEP_S = 1.0  # how long a change of the number of users takes


class OverTime(LoadTestShape):
    """One of the shapes; `options` are locust's, read anew all the time: the web form sets them."""

    abstract = True  # locust is given an instance by the locustfile, it need not look for one
    use_common_options = True

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        super().__init__()
        self.name, self._options = name, options

    def tick(self) -> tuple[int, float] | None:
        share = self.get_run_time() / float(self._options.run_time or RUN_S)
        if share >= 1:
            return None
        users = users_at(self.name, share, self._options.num_users or 1)
        return users, max(1.0, abs(users - self.get_current_user_count()) / STEP_S)
