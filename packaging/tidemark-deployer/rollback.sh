#!/bin/sh
# Run from the version before, when the new one does not start. `previous` is there only while an update is not over.
set -eu
cd /opt/tidemark/deployer
previous=$(readlink previous) || exit 0
[ -x "$previous/bin/node" ] && [ "$previous" != "$(readlink current)" ] || exit 0
ln -sfn "$previous" current.new
mv -T current.new current
systemctl daemon-reload
systemctl reset-failed tidemark-deployer.service
systemctl start tidemark-deployer.service
