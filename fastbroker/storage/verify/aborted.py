"""A .txnindex against the markers of its segment. Grammar: storage/txn_index.py."""
from __future__ import annotations

from struct import Struct as Layout

from fastbroker.storage.txn_index import AbortedTransaction
from fastbroker.storage.verify.finding import Faults, Severity

_ENTRY = Layout(">hqqqq")
_NAMES = ("producer", "first offset", "marker's offset", "last stable offset")


def check_aborted(
    data: bytes, expected: list[AbortedTransaction], *, path: str, faults: Faults, is_complete: bool
) -> None:
    """Entries in `data` against what the markers of the segment have aborted.

    is_complete: every one of them has to be there; otherwise the last ones may be missing.
    """
    whole = len(data) // _ENTRY.size * _ENTRY.size
    if len(data) > whole:
        what = f"{len(data) - whole} bytes behind the last whole entry"
        faults.add(path, what, if_left=Severity.NOTE)
    entries = list(_ENTRY.iter_unpack(data[:whole]))
    by_marker = {one.last_offset: one for one in expected}
    seen = set()
    for number, (version, *values) in enumerate(entries):
        place = f"entry {number}"
        if version != 0:
            faults.add(path, f"version {version}", place=place)
            continue
        found = AbortedTransaction(*values)
        right = by_marker.get(found.last_offset)
        if right is None:
            faults.add(path, f"there is no abort marker at {found.last_offset}", place=place)
        elif found.last_offset in seen:
            faults.add(path, f"another entry of the marker at {found.last_offset}", place=place)
        else:
            for name, here, there in zip(_NAMES, found, right, strict=True):
                if here != there:
                    what = f"{name} {here}, by the batches it is {there}"
                    faults.add(path, what, place=place)
        seen.add(found.last_offset)
    missing = [one for one in expected if one.last_offset not in seen]
    if missing and (is_complete or missing != expected[-len(missing) :]):
        first = missing[0]
        faults.add(
            path,
            f"{len(missing)} of {len(expected)} entries missing, the first of the marker at"
            f" {first.last_offset}: readers of committed records get what was aborted",
        )
