#!/bin/sh
# Who starts the image as root has a disk that belongs to root, as on Render: it becomes the server's, which runs as node.
if [ "$(id -u)" = 0 ]; then
  chown -R node:node "$ENGAWA_DATA_DIR"
  exec setpriv --reuid=node --regid=node --init-groups engawa "$@"
fi
exec engawa "$@"
