#!/bin/sh
# Unpack the Debian packages that no machine should get by testing: root, apt, and not yet unpacked.
set -eu
cd "$(dirname "$0")"
command -v dpkg-deb >/dev/null 2>&1 || exit 0
packages=$(sed 's/#.*//' debian-packages-unpacked.txt | tr '\n' ' ')
folder=$(cd .. && pwd)/.debian
# The list is written last: a folder that has it is complete.
[ "$(cat "$folder/.packages" 2>/dev/null)" != "$packages" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "not unpacked, since you are not root: $packages(tests that need them will be skipped)" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
archives=$(mktemp -d)
trap 'rm -rf "$archives"' EXIT
chmod 755 "$archives"
mkdir "$archives/partial"
download() {
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends --download-only \
    -o Dir::Cache::archives="$archives" $packages >/dev/null
}
download 2>/dev/null || { apt-get update -qq; download; }
rm -rf "$folder"
for each in bin lib lib64 sbin; do
  # Debian's folders of programs are links since /usr was merged.
  mkdir -p "$folder/usr/$each" "$folder/etc" "$folder/var"
  ln -s "usr/$each" "$folder/$each"
done
for package in "$archives"/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$folder"
done
printf %s "$packages" >"$folder/.packages"
