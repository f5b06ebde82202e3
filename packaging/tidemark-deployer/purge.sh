#!/bin/sh
rm -rf /etc/tidemark/deployer.json /etc/tidemark/packages.pub /var/lib/tidemark-deployer
rmdir /etc/tidemark /opt/tidemark/deployer /opt/tidemark 2>/dev/null || true
