# Shared by all findings: a temporary folder, pinned packages, and the comparison of what is seen with what is described.
# shellcheck shell=bash

set -euo pipefail

work=$(mktemp -d)
chmod 755 "$work"
debian="$work/debian"

finish() {
  local code=$?
  # Only what this script started, and all of it before the folder goes.
  jobs -p | xargs --no-run-if-empty kill 2>>"$work/log" || true
  wait || true
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT

# A finding that cannot be tried is not one that changed: 2, not 1.
or_give_up() {
  "$@" >>"$work/log" 2>&1 || { cat "$work/log" >&2; echo "cannot be tried: $1 failed" >&2; exit 2; }
}

# npm_packages NAME@VERSION...
npm_packages() {
  or_give_up npm install --prefix "$work" --before 2026-12-01 --no-save --ignore-scripts --no-audit --no-fund "$@"
}

# debian_packages NAME=VERSION...: unpacked below $debian, where nothing else finds them. Debian keeps only the newest
# revision of a version, so give the version with a `*` for the revision.
debian_packages() {
  (cd "$work" && or_give_up apt-get download "$@")
  local package
  for package in "$work"/*.deb; do or_give_up dpkg-deb --extract "$package" "$debian"; done
  PYTHONPATH="$debian/usr/lib/python3/dist-packages"
  LD_LIBRARY_PATH="$(echo "$debian"/usr/lib/*-linux-gnu)"
  export PYTHONPATH LD_LIBRARY_PATH
}

free_port() {
  node --eval "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close(); })"
}

# listening PORT...: waits until a server listens on each of them, ten seconds at most.
listening() {
  local port tries
  for port in "$@"; do
    for ((tries = 100; tries > 0; tries--)); do
      { : >"/dev/tcp/127.0.0.1/$port"; } 2>>"$work/log" && break
      sleep 0.1
    done
    ((tries > 0)) || { cat "$work/log" >&2; echo "cannot be tried: nothing listens" >&2; exit 2; }
  done
}

# start_nginx <<CONF ... CONF: the standard input is the content of its `http` block.
start_nginx() {
  local paths='' kind
  for kind in client_body proxy fastcgi uwsgi scgi; do paths+="${kind}_temp_path $work/$kind; "; done
  printf 'daemon off; master_process off; pid %s/nginx.pid; events {}\nhttp {\naccess_log off; %s\n%s\n}\n' \
    "$work" "$paths" "$(cat)" >"$work/nginx.conf"
  "$debian/usr/sbin/nginx" -p "$work" -c "$work/nginx.conf" -e "$work/nginx.log" 2>>"$work/log" &
}

# see COMMAND...: what it prints is what is seen.
see() {
  (cd "$work" && timeout 50 "$@") 2>>"$work/log" | tee -a "$work/seen" || { cat "$work/log" >&2; exit 1; }
}

# as_described <<'END' ... END: the standard input says what was seen on the day of the finding.
as_described() {
  diff --unified --label described --label seen - "$work/seen" || { echo 'not as described any more'; exit 1; }
  echo 'as described'
}
