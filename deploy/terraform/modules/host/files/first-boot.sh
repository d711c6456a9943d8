#!/bin/sh
# The first boot of a host: its data disk, then the broker.
#
#   first-boot.sh PACKAGE [DEVICE]
#
# PACKAGE is what install.sh takes. DEVICE is formatted if it is blank, and never otherwise; it is
# mounted at /var/lib/fastbroker now and at every boot. Without its disk the broker does not start.
# May be run again: it changes only what is not yet so.
set -eu

DATA_DIR=/var/lib/fastbroker
WAIT_S=${FASTBROKER_DISK_WAIT_S:-300} # a cloud attaches a disk after the machine has booted
UNITS=/etc/systemd/system

fail() {
    echo "first-boot.sh: $*" >&2
    exit 1
}

wait_for() {
    waited=0
    until [ -b "$1" ]; do
        [ "$waited" -lt "$WAIT_S" ] || fail "$1 did not appear within $WAIT_S s: attach the disk to this machine, then run this again: $0 $package $1"
        [ "$waited" -gt 0 ] || echo "waiting for $1"
        sleep 1
        waited=$((waited + 1))
    done
}

# Prints blank, or the type of the file system on $1; fails if anything else is on it.
content_of() {
    type=$(blkid -p -s TYPE -o value "$1") && found=0 || found=$?
    case "$found:$type" in
        0:ext4 | 0:xfs) echo "$type" ;;
        2:*) echo blank ;;
        *) fail "$1 is neither blank nor an ext4 or xfs file system (${type:-a partition table, or unreadable}): it is left as it is; wipe it or name another disk" ;;
    esac
}

mount_data() {
    device=$1
    wait_for "$device"
    content=$(content_of "$device")
    if [ "$content" = blank ]; then
        echo "formatting $device, which is blank"
        mkfs.ext4 -q -m 0 -L fastbroker "$device"
        content=ext4
    else
        echo "$device keeps its $content file system"
    fi
    uuid=$(blkid -p -s UUID -o value "$device")
    cat >"$UNITS/var-lib-fastbroker.mount" <<UNIT
[Unit]
Description=Data of fastbroker

[Mount]
What=/dev/disk/by-uuid/$uuid
Where=$DATA_DIR
Type=$content
Options=noatime
UNIT
    mkdir -p "$DATA_DIR" "$UNITS/fastbroker.service.d"
    cat >"$UNITS/fastbroker.service.d/data-disk.conf" <<UNIT
# Data is never written to the root disk when the data disk is missing.
[Unit]
RequiresMountsFor=$DATA_DIR
AssertPathIsMountPoint=$DATA_DIR
UNIT
    systemctl daemon-reload
    mountpoint -q "$DATA_DIR" || mount -t "$content" -o noatime "$device" "$DATA_DIR"
}

[ $# -ge 1 ] && [ $# -le 2 ] || fail "usage: first-boot.sh PACKAGE [DEVICE]"
package=$1
[ $# -eq 1 ] || mount_data "$2"
exec "$(dirname "$0")/install.sh" install --package "$package"
