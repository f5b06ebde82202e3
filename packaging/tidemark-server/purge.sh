#!/bin/sh
# The data directory holds the repository's passphrase and perhaps the repository: a package never removes it.
rmdir /etc/tidemark /opt/tidemark/server /opt/tidemark 2>/dev/null || true
