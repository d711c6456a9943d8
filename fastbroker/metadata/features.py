"""Feature levels: what this version understands, and what a new cluster starts with.

kraft.version is not a metadata record (the quorum's own control records say it), so level 0 has
none. Features whose APIs are not served have no level: absent means 0.
"""

from __future__ import annotations

from fastbroker.protocol.metadata_records import FeatureLevelRecord
from fastbroker.protocol.schema import Struct

METADATA_VERSION = "metadata.version"
KRAFT_VERSION = "kraft.version"
TRANSACTION_VERSION = "transaction.version"
GROUP_VERSION = "group.version"

# name: (lowest, highest) level; 7 is 3.3-IV3 and 30 is 4.3-IV0.
SUPPORTED = {
    METADATA_VERSION: (7, 30),
    KRAFT_VERSION: (0, 1),
    TRANSACTION_VERSION: (0, 2),
    GROUP_VERSION: (0, 1),
}

INITIAL = {METADATA_VERSION: 30, TRANSACTION_VERSION: 2, GROUP_VERSION: 1}


def bootstrap_records() -> list[Struct]:
    """The first records of a new cluster."""
    return [FeatureLevelRecord(name=n, feature_level=level) for n, level in INITIAL.items()]
