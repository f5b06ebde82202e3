#!/bin/sh
rm -rf /etc/tidemark/transport.json /var/lib/tidemark-transport /run/tidemark-transport /run/tidemark-warden
# What the warden knows of locked places stays: the locks do.
rmdir /var/lib/tidemark-warden 2>/dev/null || true
if getent passwd tidemark >/dev/null; then userdel tidemark 2>/dev/null || true; fi
rmdir /etc/tidemark /opt/tidemark/transport /opt/tidemark 2>/dev/null || true
