"""DescribeCluster."""
from __future__ import annotations

import pytest

from fastbroker import errors
from fastbroker.protocol.messages.describe_cluster import DescribeClusterRequest
from tests.handlers.bench import CLUSTER, ELSEWHERE, ME, NEIGHBOUR, Bench


@pytest.mark.parametrize("version", [0, 1, 2])
def test_the_live_brokers(bench: Bench, version: int) -> None:
    bench.fence(ELSEWHERE)
    response = bench.ask(DescribeClusterRequest(), version)
    assert (response.cluster_id, response.controller_id) == (CLUSTER, ME)
    assert [(one.broker_id, one.port) for one in response.brokers] == [
        (ME, 9092), (NEIGHBOUR, 9093),
    ]  # fmt: skip
    assert response.cluster_authorized_operations == -(2**31)


def test_fenced_ones_when_asked(bench: Bench) -> None:
    bench.fence(ELSEWHERE)
    response = bench.ask(DescribeClusterRequest(include_fenced_brokers=True), 2)
    assert [(one.broker_id, one.is_fenced) for one in response.brokers] == [
        (ME, False), (ELSEWHERE, True), (NEIGHBOUR, False),
    ]  # fmt: skip


def test_controllers_are_not_here(bench: Bench) -> None:
    for kind, error in [(2, errors.MismatchedEndpointType), (3, errors.UnsupportedEndpointType)]:
        response = bench.ask(DescribeClusterRequest(endpoint_type=kind), 1)
        assert response.error_code == error.code
        assert response.error_message


def test_operations_when_they_are_asked_for(bench: Bench) -> None:
    request = DescribeClusterRequest(include_cluster_authorized_operations=True)
    assert bench.ask(request, 0).cluster_authorized_operations > 0
