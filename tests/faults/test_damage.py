"""Files that are missing, empty, garbage, or of a newer version: refused by name, or made anew.

A refusal changes nothing. What is made anew has everything that it had, for whoever reads.
"""
from __future__ import annotations

import pathlib

import pytest

from fastbroker.errors import KafkaStorageError
from fastbroker.storage.log_dir import LogDirError
from fastbroker.uuids import uuid_text
from tests.faults.directory import CLUSTER, TOPIC_ID, Damage, Directory

GARBAGE = b"\xde\xad\xbe\xef" * 37
REBUILT = ""
T = "t-0/"
MIDDLE = 2  # of the segments


def gone(path: pathlib.Path) -> None:
    path.unlink()


def empty(path: pathlib.Path) -> None:
    path.write_bytes(b"")


def garbage(path: pathlib.Path) -> None:
    path.write_bytes(GARBAGE)


def zeros(path: pathlib.Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def renamed(path: pathlib.Path) -> None:
    path.rename(path.with_name(path.name + ".old"))


def replaced(old: str, new: str) -> Damage:
    def damage(path: pathlib.Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return damage


# Of the directory: file, damage, what is said; REBUILT: nothing, it works as before.
OF_DIRECTORY: list[tuple[str, Damage, str]] = [
    ("meta.properties", gone, r"meta.properties is missing, but there are partitions, such as t-0"),
    ("meta.properties", renamed, r"meta.properties is missing, but there are partitions"),
    ("meta.properties", empty, r"meta.properties is damaged, version is missing: restore it"),
    ("meta.properties", garbage, r"meta.properties is damaged, version is missing"),
    ("meta.properties", replaced("version=1", "version=2"),
     r"meta.properties has version 2, this broker understands 1: use the version"),
    ("meta.properties", replaced("node.id=1", "node.id=7"),
     r"meta.properties belongs to node 7, this is 1"),
    ("meta.properties", replaced("node.id=1", "node.id=?"), r"meta.properties is damaged \(.*'\?'"),
    ("meta.properties", replaced(CLUSTER, "x" * 22), r"meta.properties belongs to cluster xxx"),
    ("meta.properties", replaced("directory.id=", "directory.id=x"),
     r"meta.properties is damaged \("),
    ("meta.properties", replaced("directory.id=", "was.id="), REBUILT),
    (".kafka_cleanshutdown", gone, REBUILT),
    (".kafka_cleanshutdown", empty, REBUILT),
    (".kafka_cleanshutdown", garbage, REBUILT),
    (".kafka_cleanshutdown", replaced('"version": 0', '"version": 1'),
     r".kafka_cleanshutdown has version 1, this broker understands 0"),
    *(
        (name, damage, said)
        for name in (
            "recovery-point-offset-checkpoint", "log-start-offset-checkpoint",
            "replication-offset-checkpoint",
        )
        for damage, said in (
            (gone, REBUILT), (empty, REBUILT), (garbage, REBUILT),
            (lambda path: path.write_text("0\n1\nt 0 many\n"), REBUILT),
            (lambda path: path.write_text("1\n0\n"),
             rf"{name} has version 1, this broker understands 0"),
        )
    ),
]  # fmt: skip
# Of the partition: what is said about it; other partitions are not touched.
OF_PARTITION: list[tuple[str, Damage, str]] = [
    ("partition.metadata", gone, REBUILT),
    ("partition.metadata", empty, REBUILT),
    ("partition.metadata", garbage, r"t-0/partition.metadata is damaged \("),
    ("partition.metadata", replaced(uuid_text(TOPIC_ID), "short"),
     r"partition.metadata is damaged \("),
    ("partition.metadata", replaced("version: 0", "version: 1"),
     r"t-0/partition.metadata has version 1, this broker understands 0"),
    ("leader-epoch-checkpoint", gone, REBUILT),
    ("leader-epoch-checkpoint", empty, REBUILT),
    ("leader-epoch-checkpoint", garbage, REBUILT),
    ("leader-epoch-checkpoint", replaced("0\n3\n2 0", "0\n3\n2 ?"), REBUILT),
    ("leader-epoch-checkpoint", replaced("0\n3\n2 0", "1\n3\n2 0"),
     r"t-0/leader-epoch-checkpoint has version 1, this broker understands 0"),
]  # fmt: skip
# Of the segments: suffix, which one.
OF_SEGMENTS: list[tuple[str, int, Damage, str]] = [
    (".snapshot", -1, gone, REBUILT),
    (".snapshot", -1, empty, REBUILT),
    (".snapshot", -1, garbage, REBUILT),
    (".snapshot", -1, zeros, REBUILT),
    (".log", 0, gone, r"0{20}\.log is missing, .*0{20}\.(time)?index belongs to it: restore it"),
    (".log", MIDDLE, gone, r"\d{18}[1-9]\d\.log is missing, .*index belongs to it"),
    (".log", MIDDLE, renamed, r"\d{18}[1-9]\d\.log is missing, .*index belongs to it"),
]  # fmt: skip


def ids(table: list[tuple]) -> list[str]:  # type: ignore[type-arg]
    return [
        "-".join(getattr(x, "__name__", str(x)) for x in row[:-1]).replace("<lambda>", "rewritten")
        + ("-rebuilt" if row[-1] == REBUILT else "-refused")
        for row in table
    ]


def check(directory: Directory, path: pathlib.Path, damage: Damage, said: str) -> None:
    damage(path)
    if not said:
        directory.start()
        directory.start()  # what was made anew holds
        return
    before = directory.content()
    for _ in range(2):
        with pytest.raises((LogDirError, KafkaStorageError), match=said):
            directory.start()
    assert directory.content() == before


@pytest.mark.parametrize(("name", "damage", "said"), OF_DIRECTORY, ids=ids(OF_DIRECTORY))
def test_files_of_a_log_directory(
    tmp_path: pathlib.Path, name: str, damage: Damage, said: str
) -> None:
    directory = Directory(tmp_path / "d", is_clean=True)
    if not (directory.path / name).exists():
        (directory.path / name).write_text("0\n0\n")
    check(directory, directory.path / name, damage, said)


@pytest.mark.parametrize("is_clean", [True, False], ids=["stopped", "killed"])
@pytest.mark.parametrize(("name", "damage", "said"), OF_PARTITION, ids=ids(OF_PARTITION))
def test_files_of_a_partition(
    tmp_path: pathlib.Path, name: str, damage: Damage, said: str, is_clean: bool
) -> None:
    directory = Directory(tmp_path / "d", is_clean=is_clean)
    check(directory, directory.partition / name, damage, said)


@pytest.mark.parametrize("is_clean", [True, False], ids=["stopped", "killed"])
@pytest.mark.parametrize(
    ("suffix", "number", "damage", "said"), OF_SEGMENTS, ids=ids(OF_SEGMENTS)
)
def test_files_of_a_segment(
    tmp_path: pathlib.Path, suffix: str, number: int, damage: Damage, said: str, is_clean: bool
) -> None:
    directory = Directory(tmp_path / "d", is_clean=is_clean)
    assert len(directory.segments()) > MIDDLE + 1
    check(directory, directory.segments(suffix)[number], damage, said)


def test_a_newer_snapshot_is_refused_where_it_is_needed(tmp_path: pathlib.Path) -> None:
    directory = Directory(tmp_path / "d", is_clean=True)
    path = directory.segments(".snapshot")[-1]
    path.write_bytes(b"\0\2" + path.read_bytes()[2:])
    check(directory, path, lambda _: None, rf"{path} has version 2, this broker understands 1: ")
    path.unlink()  # as it is said: it is made anew
    directory.start()


def test_a_directory_of_another_topic_is_kept_aside(tmp_path: pathlib.Path) -> None:
    directory = Directory(tmp_path / "d", is_clean=True)
    other = uuid_text(bytes(15) + b"\x08")
    replaced(uuid_text(TOPIC_ID), other)(directory.partition / "partition.metadata")
    before = {path.name: path.read_bytes() for path in directory.partition.iterdir()}
    with pytest.raises(AssertionError):
        directory.start()  # an empty log of its own
    (stray,) = directory.path.glob("t-0.*-stray")
    assert {path.name: path.read_bytes() for path in stray.iterdir()} == before
