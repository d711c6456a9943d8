#!/bin/sh
# Installs fastbroker as a systemd service on Debian 12, 13 or Ubuntu 24.04 and newer; run as root.
#
#   install.sh install [--package SPEC] [--data-dir DIR] [--no-start]
#   install.sh upgrade [--package SPEC]
#   install.sh remove  [--purge-data]
#
# SPEC: a wheel file, a checkout, the URL of a wheel, or what pip understands (fastbroker==1.2).
# Default: the checkout that this script lies in, otherwise `fastbroker`.
#
# Each version has a virtual environment of its own beside the ones before, /opt/fastbroker/VERSION,
# and /opt/fastbroker/current points to one of them. A version that does not start with the
# configuration that is there is not switched to; one that does not become ready is switched back.
# What is right already is left alone: running it twice does no more than running it once. It never
# writes over /etc/fastbroker/server.properties; changes of the unit belong into
# `systemctl edit fastbroker`, for the unit itself comes with the version.
set -eu
umask 022

NAME=fastbroker
HOME_DIR=/opt/fastbroker
CURRENT=$HOME_DIR/current
CONFIG_DIR=/etc/fastbroker
CONFIG=$CONFIG_DIR/server.properties
DATA_DIR=/var/lib/fastbroker
UNIT=/etc/systemd/system/$NAME.service
DROP_IN=$UNIT.d/data-dir.conf
COMMAND=/usr/local/bin/fastbroker
HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
TEMP=

say() { printf '%s: %s\n' "$NAME" "$*"; }

fail() { # cause, remedy
    printf '%s: error: %s\n' "$NAME" "$1" >&2
    if [ $# -gt 1 ]; then printf '%s: what to do: %s\n' "$NAME" "$2" >&2; fi
    exit 1
}

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit "$1"
}

clean_up() {
    if [ -n "$TEMP" ]; then rm -rf "$TEMP" "$HOME_DIR/.source"; fi
}

# ---- what has to be there

check_host() {
    if [ "$(id -u)" != 0 ]; then
        fail "only root can install a service" "run: sudo $0 ..."
    fi
    if ! command -v systemctl >/dev/null || [ ! -d /run/systemd/system ]; then
        fail "this host does not run systemd" "start the broker with 'fastbroker start' instead"
    fi
    version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    if [ "${version:-0}" -lt 252 ]; then
        fail "systemd $version is too old; the unit needs 252" "use Debian 12, Ubuntu 24.04 or newer"
    fi
}

apt_install() {
    if ! command -v apt-get >/dev/null; then
        fail "this host lacks $* and has no apt-get" "install them, then run this again"
    fi
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    wait_for_lock='DPkg::Lock::Timeout=300'
    apt-get -qq -o "$wait_for_lock" install -y --no-install-recommends "$@" >"$TEMP/apt" 2>&1 || {
        apt-get -qq -o "$wait_for_lock" update >>"$TEMP/apt" 2>&1 &&
            apt-get -qq -o "$wait_for_lock" install -y --no-install-recommends "$@" >>"$TEMP/apt" 2>&1
    } || {
        tail -5 "$TEMP/apt" >&2
        fail "apt-get could not install $*" "see the lines above; is the network reached?"
    }
}

check_python() {
    # ensurepip is what Debian leaves out of python3 without python3-venv.
    python3 -c 'import venv, ensurepip' 2>/dev/null || apt_install python3 python3-venv
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$(python3 --version) is too old; fastbroker needs 3.11" \
            "use Debian 12, Ubuntu 24.04 or newer"
}

make_user() {
    if ! getent passwd $NAME >/dev/null; then
        say "making the user $NAME"
        useradd --system --user-group --home-dir $DATA_DIR --no-create-home \
            --shell /usr/sbin/nologin $NAME
    fi
}

# ---- the package

# pip has an environment of its own, which installs into those of the versions.
pip() {
    if ! "$HOME_DIR/.pip/bin/pip" --version >/dev/null 2>&1; then
        mkdir -p "$HOME_DIR"
        python3 -m venv --clear "$HOME_DIR/.pip"
    fi
    "$HOME_DIR/.pip/bin/pip" --disable-pip-version-check "$@"
}

# Sets WHEEL, a wheel file made from SPEC.
find_wheel() {
    case $SPEC in
    *://*) ;;
    *.whl)
        [ -f "$SPEC" ] || fail "there is no file $SPEC" "name a wheel that is there"
        WHEEL=$SPEC
        return
        ;;
    esac
    mkdir "$TEMP/wheel"
    from=$SPEC
    if [ -d "$SPEC" ]; then
        [ -f "$SPEC/pyproject.toml" ] || fail "$SPEC is no checkout: it has no pyproject.toml" \
            "name a checkout of fastbroker, or a wheel"
        if ! command -v cc >/dev/null || ! python3 -c \
            'import sysconfig as s,os,sys; sys.exit(not os.path.exists(s.get_paths()["include"]+"/Python.h"))'
        then
            apt_install gcc libc6-dev python3-dev
        fi
        # The checkout itself stays as it is; what is compiled has the name of its folder in it.
        from=$HOME_DIR/.source
        rm -rf "$from"
        mkdir -p "$from"
        tar -C "$SPEC" --exclude=./.git --exclude=./.venv --exclude=./.interop --exclude=./build \
            --exclude='*.so' -cf - . | tar -C "$from" -xf -
    fi
    say "making a wheel from $SPEC"
    # Made twice from the same, a wheel is the same.
    export SOURCE_DATE_EPOCH=315532800
    pip wheel -q --no-deps -w "$TEMP/wheel" "$from" >"$TEMP/pip" 2>&1 || {
        tail -20 "$TEMP/pip" >&2
        fail "pip could not make a wheel from $SPEC" "see the lines above"
    }
    for WHEEL in "$TEMP"/wheel/*.whl; do :; done
}

# Sets NEW, the environment that holds WHEEL.
make_environment() {
    file=${WHEEL##*/}
    case $file in
    fastbroker-*) ;;
    *) fail "$file is not fastbroker's wheel" "name a file fastbroker-VERSION-....whl" ;;
    esac
    version=${file#fastbroker-}
    version=${version%%-*}
    sum=$(sha256sum "$WHEEL" | cut -d' ' -f1)
    # Two wheels may have the same version: the second one's directory also has a part of its hash.
    for NEW in "$HOME_DIR/$version" "$HOME_DIR/$version-$(printf %.8s "$sum")"; do
        if [ "$(cat "$NEW/.wheel" 2>/dev/null)" = "$sum" ]; then
            return
        fi
        if [ ! -e "$NEW/.wheel" ]; then # there is none, or an unfinished one
            break
        fi
    done
    say "installing $file into $NEW"
    rm -rf "$NEW"
    mkdir -p "$HOME_DIR"
    python3 -m venv --without-pip "$NEW"
    pip --python "$NEW/bin/python3" install -q "$WHEEL" >"$TEMP/pip" 2>&1 || {
        tail -20 "$TEMP/pip" >&2
        rm -rf "$NEW"
        fail "pip could not install $file" \
            "see the lines above; is PyPI reached? PIP_INDEX_URL names another index"
    }
    chmod -R go+rX "$NEW"
    printf '%s\n' "$sum" >"$NEW/.wheel"
}

# It runs, and accepts the configuration that is there.
check_environment() {
    "$NEW/bin/fastbroker" --version >"$TEMP/check" 2>&1 || {
        tail -3 "$TEMP/check" >&2
        fail "what was installed into $NEW does not run" "see the lines above"
    }
    if [ -f "$CONFIG" ]; then
        (cd / && runuser -u $NAME -- "$NEW/bin/fastbroker" start --check --config "$CONFIG") \
            >"$TEMP/check" 2>&1 || {
            tail -3 "$TEMP/check" >&2
            fail "$NEW does not accept $CONFIG; nothing was changed" \
                "mend the line named above, then run this again"
        }
    fi
}

# ---- the files

write_config() {
    if [ ! -d "$CONFIG_DIR" ]; then
        install -d -m 755 "$CONFIG_DIR"
    fi
    if [ ! -f "$CONFIG" ]; then
        [ -f "$HERE/systemd/server.properties" ] || fail \
            "there is neither $CONFIG nor $HERE/systemd/server.properties" \
            "write $CONFIG, or run this script where it lies in a checkout"
        say "writing $CONFIG"
        sed "s|^log.dirs=.*|log.dirs=$DATA_DIR|" "$HERE/systemd/server.properties" >"$CONFIG.new"
        chown root:$NAME "$CONFIG.new"
        chmod 640 "$CONFIG.new"
        mv "$CONFIG.new" "$CONFIG"
    fi
}

write_unit() {
    UNIT_CHANGED=no
    if [ -f "$HERE/systemd/$NAME.service" ]; then
        if ! cmp -s "$HERE/systemd/$NAME.service" "$UNIT"; then
            if [ -f "$UNIT" ]; then cp -p "$UNIT" "$TEMP/unit"; fi
            say "writing $UNIT"
            install -m 644 "$HERE/systemd/$NAME.service" "$UNIT"
            UNIT_CHANGED=yes
        fi
    elif [ ! -f "$UNIT" ]; then
        fail "there is neither $UNIT nor $HERE/systemd/$NAME.service" \
            "run this script where it lies in a checkout"
    fi
    if [ "$DATA_DIR" != /var/lib/fastbroker ]; then
        mkdir -p "$UNIT.d"
        printf '[Unit]\nRequiresMountsFor=%s\n[Service]\nReadWritePaths=%s\nWorkingDirectory=%s\n' \
            "$DATA_DIR" "$DATA_DIR" "$DATA_DIR" >"$TEMP/drop-in"
        if ! cmp -s "$TEMP/drop-in" "$DROP_IN"; then
            install -m 644 "$TEMP/drop-in" "$DROP_IN"
            UNIT_CHANGED=yes
        fi
    fi
    systemctl daemon-reload
}

make_data_dir() {
    # This one systemd makes, and gives all that is in it to the user: on a disk that comes from
    # another machine it belongs to another number.
    if [ "$DATA_DIR" = /var/lib/fastbroker ]; then return; fi
    if [ ! -d "$DATA_DIR" ] || [ "$(stat -c %U "$DATA_DIR")" != $NAME ]; then
        install -d -m 750 -o $NAME -g $NAME "$DATA_DIR"
    fi
}

switch_to() {
    ln -sfn "$1" "$HOME_DIR/.current"
    mv -T "$HOME_DIR/.current" "$CURRENT" # at one moment
}

# ---- what was asked for

start() {
    begun=$(date +%s)
    if ! systemctl restart $NAME; then
        return 1
    fi
    say "ready after $(($(date +%s) - begun)) s: $(systemctl show -P StatusText $NAME)"
}

last_words() {
    journalctl -u $NAME -n 15 --no-pager -o cat >&2 2>/dev/null || true
}

do_install() {
    check_python
    make_user
    find_wheel
    make_environment
    check_environment
    old=$(readlink "$CURRENT" 2>/dev/null || true)
    write_config
    check_environment
    make_data_dir
    write_unit
    if [ "$old" != "$NEW" ]; then switch_to "$NEW"; fi
    if [ ! -e "$COMMAND" ] && [ ! -L "$COMMAND" ]; then
        ln -s "$CURRENT/bin/fastbroker" "$COMMAND"
    fi
    systemctl -q enable $NAME
    if [ "$START" = no ]; then
        say "installed ${NEW##*/}; start it with: systemctl start $NAME"
    elif systemctl -q is-active $NAME && [ "$old" = "$NEW" ] && [ $UNIT_CHANGED = no ]; then
        say "${NEW##*/} is installed and runs already: $(systemctl show -P StatusText $NAME)"
    elif start; then
        say "${NEW##*/} runs; journalctl -u $NAME shows what it says"
    else
        last_words
        if [ -z "$old" ] || [ "$old" = "$NEW" ]; then
            fail "the service did not start" "mend what the lines above name; then: systemctl start $NAME"
        fi
        say "${NEW##*/} did not become ready: going back to ${old##*/}"
        if [ -f "$TEMP/unit" ]; then
            install -m 644 "$TEMP/unit" "$UNIT"
            systemctl daemon-reload
        fi
        switch_to "$old"
        systemctl reset-failed $NAME 2>/dev/null || true
        start || fail "${old##*/} did not start either" "journalctl -u $NAME says why"
        fail "${NEW##*/} did not become ready; ${old##*/} runs again" "the lines above say why"
    fi
    prune "$old"
}

# Only the version in use and the one before are kept.
prune() {
    for one in "$HOME_DIR"/*; do
        if [ -f "$one/.wheel" ] && [ "$one" != "$NEW" ] && [ "$one" != "$1" ] && [ "$one" != "$CURRENT" ]
        then
            say "removing ${one##*/}"
            rm -rf "$one"
        fi
    done
}

do_remove() {
    data=$(sed -n 's/^log\.dirs\{0,1\}[ =:]*//p' "$CONFIG" 2>/dev/null | tail -1)
    data=${data:-/var/lib/fastbroker}
    if [ -f "$UNIT" ]; then
        say "stopping and removing the service"
        systemctl -q disable --now $NAME || true
        rm -f "$UNIT"
        if [ -f "$DROP_IN" ]; then rm -f "$DROP_IN"; fi
        rmdir "$UNIT.d" 2>/dev/null || true
        systemctl daemon-reload
        systemctl reset-failed $NAME 2>/dev/null || true
    fi
    if [ "$(readlink $COMMAND 2>/dev/null)" = "$CURRENT/bin/fastbroker" ]; then rm -f $COMMAND; fi
    rm -rf "$HOME_DIR"
    if [ "$PURGE" = no ]; then
        say "removed. Kept: $data, $CONFIG_DIR, the user $NAME; --purge-data removes them, too"
        return
    fi
    case $data in
    / | /bin | /boot | /dev | /etc | /home | /opt | /root | /usr | /var | /var/lib)
        fail "log.dirs is $data: that is not removed" "remove what is fastbroker's by hand"
        ;;
    /*) ;;
    *) fail "log.dirs is $data, which is no absolute path" "remove what is fastbroker's by hand" ;;
    esac
    if [ -d "$data" ]; then
        say "removing $data"
        find "$data" -mindepth 1 -delete # it may be a disk of its own: the mount stays
        rmdir "$data" 2>/dev/null || true
    fi
    rm -rf "$CONFIG_DIR"
    if getent passwd $NAME >/dev/null; then userdel $NAME; fi
    say "removed with its data"
}

main() {
    [ $# -gt 0 ] || usage 2
    verb=$1
    shift
    SPEC= START=yes PURGE=no
    while [ $# -gt 0 ]; do
        case $1 in
        --package | --data-dir)
            [ $# -gt 1 ] || fail "$1 wants a value" "$0 --help"
            if [ "$1" = --package ]; then SPEC=$2; else DATA_DIR=${2%/}; fi
            shift
            ;;
        --no-start) START=no ;;
        --purge-data) PURGE=yes ;;
        -h | --help) usage 0 ;;
        *) fail "unknown option $1" "$0 --help" ;;
        esac
        shift
    done
    case $verb in
    install | upgrade | remove) ;;
    -h | --help | help) usage 0 ;;
    *) fail "unknown command $verb" "$0 --help" ;;
    esac
    case $DATA_DIR in
    /*) ;;
    *) fail "--data-dir $DATA_DIR is no absolute path" "begin it with /" ;;
    esac
    case $DATA_DIR in
    /home* | /root* | /run/user* | /tmp* | /dev*)
        fail "the service does not see $DATA_DIR" "name a directory such as /srv/fastbroker"
        ;;
    esac
    check_host
    exec 9>/run/$NAME-install.lock
    flock -n 9 || fail "another install.sh is at work" "wait until it has ended"
    if [ -z "$SPEC" ]; then
        SPEC=$NAME
        if [ -f "$HERE/../pyproject.toml" ]; then SPEC=$(dirname "$HERE"); fi
    fi
    trap clean_up EXIT
    trap 'exit 130' INT TERM HUP
    TEMP=$(mktemp -d)
    case $verb in
    remove) do_remove ;;
    upgrade)
        [ -L "$CURRENT" ] || fail "there is nothing to upgrade" "$0 install"
        data_dir_of_config
        systemctl -q is-active $NAME || START=no
        do_install
        ;;
    install)
        if [ "$DATA_DIR" = /var/lib/fastbroker ]; then data_dir_of_config; fi
        do_install
        ;;
    esac
}

# A configuration that is there says where the data lies.
data_dir_of_config() {
    if [ -f "$CONFIG" ]; then
        found=$(sed -n 's/^log\.dirs\{0,1\}[ =:]*//p' "$CONFIG" | tail -1)
        DATA_DIR=${found:-$DATA_DIR}
    fi
}

main "$@"
