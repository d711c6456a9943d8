"""Which old segments become one new segment. Pure."""
from __future__ import annotations

from collections.abc import Sequence

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.compaction.source import Source
from fastbroker.storage.index import RELATIVE_MAX

# A group is replaced in one go, which renames all of its files while clients wait.
GROUP_MAX = 16


def groups(sources: Sequence[Source], config: TopicConfig) -> list[list[Source]]:
    """Neighbours together, as long as what they hold now fits into one segment and its indexes.

    Kafka: Cleaner.groupSegmentsBySize.
    """
    found: list[list[Source]] = []
    for source in sources:
        group = found[-1] if found else []
        if group and _fits([*group, source], config):
            group.append(source)
        else:
            found.append([source])
    return found


def _fits(group: list[Source], config: TopicConfig) -> bool:
    return (
        len(group) <= GROUP_MAX
        and sum(one.size for one in group) <= config.segment_bytes
        and sum(one.index_bytes for one in group) <= config.segment_index_bytes
        and sum(one.time_index_bytes for one in group) <= config.segment_index_bytes
        and group[-1].end - 1 - group[0].base_offset <= RELATIVE_MAX
    )
