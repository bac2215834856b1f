#!/bin/sh
# Make a small Linux guest for the examples: FOLDER/vmlinuz and FOLDER/initrd.img.
#
#     sh examples/make-guest.sh [FOLDER]          without FOLDER, `guest` beside this script
#
# The kernel is Debian's linux-image-cloud-amd64, the rest busybox-static, both taken from the
# packages where they are installed and fetched with `apt-get download` where they are not; no root
# is needed. The guest takes its addresses from the kernel parameter ip=, answers pings, has a shell
# on its console, and switches itself off when its power button is pressed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/guest}
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "make-guest: $1" >&2
  exit 4
}

command -v cpio >/dev/null || fail "cpio is missing: install the package cpio"

# Unpack a package into $work/root: from apt's own archive, where it is there, or fetched.
fetch() {
  found=$(ls /var/cache/apt/archives/"$1"_*.deb 2>/dev/null | sort -V | tail -n 1)
  if [ -n "$found" ]; then
    dpkg-deb -x "$found" "$work/root"
    return
  fi
  (cd "$work" && apt-get download -q "$1" >/dev/null 2>&1) ||
    fail "the package $1 is neither installed nor to be had: apt-get install $1"
  dpkg-deb -x "$work"/"$1"_*.deb "$work/root"
}

kernel=$(ls /boot/vmlinuz-*-cloud-amd64 2>/dev/null | sort -V | tail -n 1)
root=
if [ -z "$kernel" ]; then
  archive=$(ls /var/cache/apt/archives/linux-image-[0-9]*-cloud-amd64_*.deb 2>/dev/null |
    sort -V | tail -n 1)
  package=$(basename "${archive%%_*}")
  [ -n "$package" ] || package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
    sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
  [ -n "$package" ] || fail "no kernel: apt-get install linux-image-cloud-amd64"
  fetch "$package"
  root=$work/root
  kernel=$(ls "$root"/boot/vmlinuz-*-cloud-amd64)
fi
version=${kernel##*/vmlinuz-}

busybox=/bin/busybox
if ! [ -x $busybox ] || ldd $busybox >/dev/null 2>&1; then
  fetch busybox-static
  busybox=$work/root/bin/busybox
fi

image=$work/image
mkdir -p "$image/bin" "$image/dev" "$image/etc/acpi/PWRF" "$image/lib" "$image/proc" "$image/sys"
cp "$busybox" "$image/bin/busybox"

# In the order in which they need each other; the shipped modules.dep says so for each.
modules="virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover"
modules="$modules net_failover virtio_net button evdev"
for module in $modules; do
  file=$(find "$root/lib/modules/$version" "$root/usr/lib/modules/$version" \
    -name "$module.ko*" 2>/dev/null | head -n 1)
  [ -z "$file" ] || cp "$file" "$image/lib/"
done

cat >"$image/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=vt100
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for module in MODULES; do
  for file in /lib/"$module".ko*; do [ ! -e "$file" ] || insmod "$file"; done
done
ip link set lo up
number=0
for word in $(cat /proc/cmdline); do
  case $word in
  ip=*:*)
    # ip=ADDRESS::GATEWAY:MASK:NAME:INTERFACE:off
    IFS=: read -r address _ gateway mask name _ _ <<WORDS
${word#ip=}
WORDS
    hostname "$name"
    ifconfig "eth$number" "$address" netmask "$mask" up
    [ -z "$gateway" ] || route add default gw "$gateway"
    number=$((number + 1))
    ;;
  esac
done
for interface in /sys/class/net/eth*; do ip link set "${interface##*/}" up; done
acpid -l /dev/null 2>/dev/null
echo "$(hostname) is ready"
while true; do setsid cttyhack sh; done
INIT
sed -i "s/MODULES/$modules/" "$image/init"
printf '#!/bin/sh\npoweroff -f\n' >"$image/etc/acpi/PWRF/00000080"
chmod 755 "$image/init" "$image/etc/acpi/PWRF/00000080"

(cd "$image" && find . | cpio --quiet -o -H newc) | gzip -1 >"$folder/initrd.img"
cp "$kernel" "$folder/vmlinuz"
chmod 644 "$folder/vmlinuz" "$folder/initrd.img"
echo "$folder: vmlinuz ($version) and initrd.img"
