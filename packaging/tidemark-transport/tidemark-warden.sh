#!/bin/sh
# The warden's command line. `adopt DIRECTORY` makes this a host of hardened repositories: its transport loses its capabilities, and its
# deployer is switched off, because whoever holds the backup server could have a deployer install what it likes, as root.
set -eu
root=$(dirname "$(dirname "$(readlink -f "$0")")")
"$root/bin/node" "$root/lib/main/warden.js" "$@"
if [ "${1:-}" != adopt ] || [ ! -d /run/systemd/system ]; then exit 0; fi
mkdir -p /etc/systemd/system/tidemark-transport.service.d
ln -sfn /opt/tidemark/transport/current/units/hardened.conf /etc/systemd/system/tidemark-transport.service.d/zz-hardened.conf
systemctl daemon-reload
systemctl restart tidemark-transport.service
if systemctl --quiet is-enabled tidemark-deployer.service 2>/dev/null; then
  systemctl --quiet disable --now tidemark-deployer.service
  echo "the deployer is switched off: this host is updated by hand from now on"
fi
