"""Kafka load tests with locust: see loadtests/README.md.

    locust -f loadtests/locustfile.py --bootstrap HOST:PORT [ProducerUser ...] [options]
"""
from __future__ import annotations

import pathlib
import sys

# Locust puts a locustfile's own folder on the path, not the one that its packages are in.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from locust import events

from loadtests import arguments
from loadtests.run import Run
from loadtests.users.admin import AdminUser
from loadtests.users.consumer import ConsumerUser
from loadtests.users.end_to_end import EndToEndUser
from loadtests.users.producer import ProducerUser

__all__ = ["AdminUser", "ConsumerUser", "EndToEndUser", "ProducerUser"]

events.init_command_line_parser.add_listener(arguments.add)
events.init.add_listener(Run.begin)
