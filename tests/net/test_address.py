"""Addresses as people write them."""
from __future__ import annotations

import pytest

from fastbroker.config.broker import BrokerConfig
from fastbroker.net.address import unmapped


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (("127.0.0.1", 5), ("127.0.0.1", 5)),
        (("::1", 5, 0, 0), ("::1", 5)),
        (("::ffff:10.0.0.7", 5, 0, 0), ("10.0.0.7", 5)),
        (("::ffff:a:b", 5, 0, 0), ("::ffff:a:b", 5)),
    ],
)
def test_an_ipv4_host_on_an_ipv6_socket_is_an_ipv4_host(
    found: tuple[str, int], told: tuple[str, int]
) -> None:
    assert unmapped(found) == told


@pytest.mark.parametrize("host", ["", "0.0.0.0", "[::]"])
def test_all_addresses_are_not_told_to_anybody(host: str) -> None:
    (listener,) = BrokerConfig({"listeners": f"PLAINTEXT://{host}:9092"}).listeners()
    assert listener.reachable_host == "127.0.0.1"
