#!/bin/sh
# Install the Debian packages that the tests use, where that is possible: root, apt, and missing.
set -eu
cd "$(dirname "$0")"
command -v dpkg-query >/dev/null 2>&1 || exit 0
missing=""
for package in $(sed 's/#.*//' debian-packages.txt); do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
# A machine that boots a kernel of its own does not get another one beside it: it might boot that.
# examples/make-guest.sh fetches the guests' kernel then.
if ls /boot/vmlinuz* >/dev/null 2>&1; then
  missing=$(echo "$missing" | sed 's/ linux-image-[^ ]*//')
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "not installed, since you are not root:$missing (tests that need them will be skipped)" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# The kernel is for guests that have an initial file system of their own (kernel-img.conf(5)).
export INITRD=No
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing
