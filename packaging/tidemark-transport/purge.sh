#!/bin/sh
rm -rf /etc/tidemark/transport.json /var/lib/tidemark-transport /run/tidemark-transport
if getent passwd tidemark >/dev/null; then userdel tidemark 2>/dev/null || true; fi
rmdir /etc/tidemark /opt/tidemark/transport /opt/tidemark 2>/dev/null || true
