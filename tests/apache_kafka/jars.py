"""Where Apache Kafka's jars are, and how they get there.

The folder is $KAFKA_LIBS, or .interop/kafka-libs in the checkout (ignored by git).
"""
from __future__ import annotations

import os
import pathlib
import re
import subprocess

VERSION = "4.3.1"
ROOT = pathlib.Path(__file__).parents[2]
POM = pathlib.Path(__file__).with_name("pom.xml")
RESOLVE_TIMEOUT_S = 900

QUIET_LOG = """\
status=error
appender.c.type=Console
appender.c.name=c
appender.c.target=SYSTEM_ERR
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=${env:KAFKA_LOG_LEVEL:-WARN}
rootLogger.appenderRef.c.ref=c
"""


def libs() -> pathlib.Path:
    """The folder of the jars; it need not exist yet."""
    return pathlib.Path(os.environ.get("KAFKA_LIBS") or ROOT / ".interop" / "kafka-libs")


def version() -> str | None:
    """The version of the broker's jar in libs(), None when there is none."""
    for jar in libs().glob("kafka_2.13-*.jar"):
        found = re.fullmatch(r"kafka_2\.13-([\d.]+)\.jar", jar.name)
        if found:
            return found[1]
    return None


def resolve(wanted: str | None = None) -> pathlib.Path:
    """Make sure that libs() holds Kafka `wanted`, by default VERSION, that of the recordings.

    Returns the folder. Jars that are there already are kept unless another version is asked for.
    Raises RuntimeError with Maven's last words when it fails.
    """
    folder = libs()
    if version() is not None and wanted in (None, version()):
        return folder
    for jar in folder.glob("*.jar"):
        jar.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mvn", "-q", "-B", "-f", str(POM), f"-Dkafka.version={wanted or VERSION}"]
    command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
    command += [f"-DoutputDirectory={folder.resolve()}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RESOLVE_TIMEOUT_S)
    if done.returncode:
        raise RuntimeError(f"Maven failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return folder


def classpath() -> list[str]:
    """The java options that select the jars and a quiet log. FileNotFoundError without jars."""
    if version() is None:
        raise FileNotFoundError(
            f"no Kafka jars in {libs()}: python -m tests.apache_kafka resolve, or set KAFKA_LIBS"
        )
    quiet = libs() / "quiet-log4j2.properties"
    if not quiet.exists():
        fresh = quiet.with_suffix(f".{os.getpid()}")
        fresh.write_text(QUIET_LOG)
        fresh.replace(quiet)
    return [f"-Dlog4j2.configurationFile={quiet}", "-cp", f"{libs()}/*"]
