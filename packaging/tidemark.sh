#!/bin/sh
# The command line, with the runtime of its own package.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "$root/bin/node" "$root/lib/main/tidemark.js" "$@"
