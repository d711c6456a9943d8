"""`fastbroker group`: groups of readers as people ask about them.

Reading order: group (the commands together); groups (what is asked of coordinators) and
description (what a group is, from either protocol); listing, describe with page, delete; lag with
backlog and lag_page; reset with targets and reset_page.

Invariants:
- description, backlog and targets are pure: values in, values out.
- What a group has is held for a batch of groups at a time, however many there are.

Non-obvious:
- A group of KIP-848 is not found by DescribeGroups, nor a classic one by ConsumerGroupDescribe.
- OffsetFetch from version 10 on names topics by id only; the version before is spoken.
- The lag ends at the last stable offset: a reader of committed records must stop there.
"""
