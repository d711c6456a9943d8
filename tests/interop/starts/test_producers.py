"""The producers send everything, in large batches; the idempotent ones store it once."""
from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator

import pytest

from fastbroker.__main__ import main
from tests.broker_process import BrokerProcess, free_ports
from tests.interop.broker import Broker
from tests.interop.starts.lost_answers import LostAnswers
from tests.interop.starts.programs import run
from tests.interop.starts.topics import everything, fill, ids, new_topic, order

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]
