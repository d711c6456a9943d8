"""What a cloud makes of user data: a fresh Debian with cloud-init, an address and a data disk.

    with Network() as network, DataDisk(folder, "scsi-0HC_Volume_1") as disk:
        with CloudHost(user_data, network, disk) as host:     # cloud-init has ended
            Producer({"bootstrap.servers": f"{network.host}:9092"})

The host is a container with a network of its own; the test reaches it as clients reach a machine,
and the host reaches nothing but the test: what it installs comes from `network.index`.
"""
from __future__ import annotations

import functools
import http.server
import os
import pathlib
import shutil
import subprocess
import threading
from typing import Any

from tests.deploy.containers import Container, root
from tests.interop.installs import _once, _run

# Beside what the other containers have: what a cloud's image brings along.
PACKAGES = ("cloud-init", "e2fsprogs", "iproute2", "udev")
DISK_BYTES = 256 << 20
SEED = "var/lib/cloud/seed/nocloud"
# The cloud's own settings, which are no part of the user data.
IMAGE = """\
datasource_list: [NoCloud]
network: {config: disabled}
locale: C.UTF-8
ssh_genkeytypes: [ed25519]
"""


@functools.cache
def image() -> str:
    """Debian and, above it, what a cloud adds: lower directories of an overlay."""
    below = root()

    def install(folder: pathlib.Path) -> None:
        for part in ("layer", "work", "merged"):
            (folder / part).mkdir()
        merged = folder / "merged"
        overlay = f"lowerdir={below},upperdir={folder / 'layer'},workdir={folder / 'work'}"
        apt = "apt-get -q -o APT::Sandbox::User=root"
        script = (
            f"mount -t overlay overlay -o {overlay} {merged}\n"
            f"cp /etc/resolv.conf /etc/hosts {merged}/etc/\n"
            f"mount --bind /dev {merged}/dev && mount -t proc proc {merged}/proc\n"
            f"chroot {merged} sh -ec 'export DEBIAN_FRONTEND=noninteractive\n"
            f"{apt} update && {apt} install -y --no-install-recommends {' '.join(PACKAGES)}\n"
            f"rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin; apt-get clean'\n"
            f"rm -f {merged}/etc/resolv.conf\n"
        )
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script]
        _run(command, cwd=folder)
        shutil.rmtree(folder / "work")
        merged.rmdir()

    base = below.parent / ".made-from"  # a layer fits what it was made on
    return f"{_once('debian-cloud', [base], install, extra=' '.join(PACKAGES)) / 'layer'}:{below}"


class Network:
    """A network of two: the test, which serves the wheels there, and the host."""

    def __init__(self, wheels: pathlib.Path) -> None:
        """wheels: a folder of packages, which pip finds at `index`."""
        number = os.getpid() % (1 << 14)
        # Of the range for tests between networks; each process has four addresses of its own.
        base = f"198.18.{number >> 6}.{(number & 63) << 2}"
        first, last = base.rsplit(".", 1)
        self.here, self.host = (f"{first}.{int(last) + step}" for step in (1, 2))
        self.name = f"fbcloud{os.getpid()}"
        self.wheels = wheels

    def __enter__(self) -> Network:
        link = f"fbc{os.getpid()}"
        _ip(f"netns add {self.name}")
        try:
            _ip(f"link add {link} type veth peer name host0 netns {self.name}")
            _ip(f"addr add {self.here}/30 dev {link}")
            _ip(f"link set {link} up")
            for command in (f"addr add {self.host}/30 dev host0", "link set host0 up"):
                _ip(f"-n {self.name} {command}")
            self._serve()
        except BaseException:
            _ip(f"netns delete {self.name}")
            raise
        return self

    def _serve(self) -> None:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

        handler = functools.partial(Handler, directory=str(self.wheels))
        self._server = http.server.ThreadingHTTPServer((self.here, 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.index = f"http://{self.here}:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        _ip(f"netns delete {self.name}")  # and with it both ends of the link


class DataDisk:
    """A blank disk. name: its name in /dev/disk/by-id of the host that it is attached to."""

    def __init__(self, folder: pathlib.Path, name: str) -> None:
        self.file, self.name = folder / "disk", name

    def __enter__(self) -> DataDisk:
        with open(self.file, "wb") as file:
            file.truncate(DISK_BYTES)
        command = ["losetup", "--find", "--show", str(self.file)]
        self.device = subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.strip()
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["losetup", "--detach", self.device], check=True)

    def tag(self, name: str) -> str:
        """What blkid finds on it: TYPE, UUID, LABEL; empty if there is none."""
        command = ["blkid", "-p", "-s", name, "-o", "value", self.device]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    def names(self) -> list[str]:
        """As udev names it; there is none in a container."""
        uuid = self.tag("UUID")
        return [f"/dev/disk/by-id/{self.name}", *([f"/dev/disk/by-uuid/{uuid}"] if uuid else [])]


class CloudHost(Container):
    """A context manager: entered once cloud-init has ended, however it went.

    The disk is attached when the machine has booted and waits for it, as a cloud does it; at later
    boots it is there.
    """

    boot_deadline_s = 300.0

    def __init__(
        self, user_data: str, network: Network, disk: DataDisk | None, *, vendor_data: str = ""
    ) -> None:
        """vendor_data: what the cloud has cloud-init do, beside its user."""
        super().__init__({})
        self.seed = {
            "user-data": user_data,
            "vendor-data": vendor_data,
            "meta-data": f"instance-id: i-{id(self):x}\nlocal-hostname: fastbroker-1\n",
        }
        self.network, self.disk = network, disk
        self._attach = disk  # is to be attached

    def below(self) -> str:
        return image()

    def options(self) -> list[str]:
        there = self.disk if self._attach is None else None
        return [
            f"--network-namespace-path=/run/netns/{self.network.name}", "--resolv-conf=off",
            *(f"--bind={there.device}:{name}" for name in (there.names() if there else ())),
        ]  # fmt: skip

    def while_booting(self, leader: int) -> None:
        said = self.layer / "upper" / "var" / "log" / "cloud-init-output.log"
        if self._attach is None or not said.exists() or "waiting for" not in said.read_text():
            return
        number = os.stat(self._attach.device).st_rdev
        node = f"mknod /dev/disk/by-id/{self._attach.name} b {os.major(number)} {os.minor(number)}"
        script = f"mkdir -p /dev/disk/by-id && {node}"
        subprocess.run(["nsenter", "-t", str(leader), "-m", "sh", "-c", script], check=True)
        self._attach = None

    def prepare(self, upper: pathlib.Path) -> None:
        index = self.network.index
        pip = f"[global]\nno-index = true\nfind-links = {index}\n"
        pip += f"trusted-host = {self.network.here}\n"
        files = {
            **{f"{SEED}/{name}": text for name, text in self.seed.items()},
            "etc/cloud/cloud.cfg.d/99_image.cfg": IMAGE,
            "etc/pip.conf": pip,
        }
        for name, text in files.items():
            (upper / name).parent.mkdir(parents=True, exist_ok=True)
            (upper / name).write_text(text)


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)
