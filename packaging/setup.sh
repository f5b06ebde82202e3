#!/bin/sh
# What a package needs beyond its files, for dpkg, rpm and the deployer alike. Every verb can be repeated.
#
#   prepare   the service's user and directories
#   switch    makes this version the current one
#   enable    links the units and the command, and has the units start with the machine
#   disable   the opposite, stopping them first
#   purge     settings, state and the user: what `prepare` and the service made
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/about.sh" # name, units, sockets, user
place=/opt/tidemark/${name#tidemark-}

manager() { if [ -d /run/systemd/system ]; then systemctl "$@"; fi; }

case ${1:-} in
  prepare)
    mkdir -p /etc/tidemark
    chmod 755 /etc/tidemark
    if [ -n "$user" ] && ! getent passwd "$user" >/dev/null; then
      useradd --system --user-group --no-create-home --home-dir "/var/lib/$name" --shell /usr/sbin/nologin "$user"
    fi
    # Before the service's first start, so that a kit or an identity can be put there.
    if [ ! -d "/var/lib/$name" ]; then install -d -m 700 -o "${user:-root}" -g "${user:-root}" "/var/lib/$name"; fi
    ;;
  switch)
    ln -sfn "$(basename "$here")" "$place/current.new"
    mv -T "$place/current.new" "$place/current"
    ;;
  enable)
    mkdir -p /etc/systemd/system
    for unit in $units; do ln -sfn "$place/current/units/$unit" "/etc/systemd/system/$unit"; done
    if [ -x "$here/bin/tidemark" ] && [ ! -e /usr/bin/tidemark ]; then ln -sfn "$place/current/bin/tidemark" /usr/bin/tidemark 2>/dev/null || true; fi
    manager daemon-reload
    manager --quiet enable "$name.service"
    for socket in ${sockets:-}; do manager --quiet enable --now "$socket"; done
    ;;
  disable)
    for socket in ${sockets:-}; do manager --quiet disable --now "$socket" 2>/dev/null || true; done
    manager --quiet disable --now "$name.service" 2>/dev/null || true
    for unit in $units; do rm -rf "/etc/systemd/system/$unit" "/etc/systemd/system/$unit.d" "/etc/systemd/system/multi-user.target.wants/$unit"; done
    case $(readlink /usr/bin/tidemark 2>/dev/null || true) in "$place"/*) rm -f /usr/bin/tidemark ;; esac
    manager daemon-reload
    rm -f "$place/current"
    ;;
  purge)
    sh "$here/purge.sh"
    ;;
  *)
    echo "setup.sh prepare|switch|enable|disable|purge" >&2
    exit 2
    ;;
esac
