#!/bin/sh
# Make a small Linux guest for the examples: FOLDER/vmlinuz and FOLDER/initrd.img.
#
#     sh examples/make-guest.sh [FOLDER]          without FOLDER, `guest` beside this script
#
# The kernel is Debian's linux-image-cloud-amd64, the rest busybox-static, both taken from the
# packages where they are installed and fetched with `apt-get download` where they are not; no root
# is needed. The guest takes its addresses from the kernel parameters ip=, asks for one by DHCP where
# they say so, answers pings, has a shell on its console, and switches itself off when its power
# button is pressed.
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
modules=$image/lib/modules/$version
mkdir -p "$image/bin" "$image/dev" "$image/etc/acpi/PWRF" "$modules" "$image/proc" "$image/sys"
cp "$busybox" "$image/bin/busybox"

# What is wanted, and what that may need; which needs which is worked out by depmod.
wanted="virtio_pci virtio_net virtio_blk button evdev"
for module in $wanted virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev failover \
  net_failover; do
  find "$root/lib/modules/$version" "$root/usr/lib/modules/$version" -name "$module.ko*" \
    -exec cp {} "$modules/" \; 2>/dev/null || true
done
"$busybox" depmod -b "$image" "$version"

cat >"$image/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=vt100
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for module in WANTED; do modprobe "$module"; done
ip link set lo up
for interface in /sys/class/net/eth*; do ip link set "${interface##*/}" up; done
number=0
for word in $(cat /proc/cmdline); do
  case $word in
  ip=*:*)
    # ip=ADDRESS::GATEWAY:MASK:NAME:PORT:WHENCE
    IFS=: read -r address _ gateway mask name port whence <<WORDS
${word#ip=}
WORDS
    [ -z "$name" ] || hostname "$name"
    [ -e "/sys/class/net/$port" ] || port=eth$number
    number=$((number + 1))
    if [ "$whence" = dhcp ]; then
      # It goes on in the background, whether somebody answers soon or not.
      udhcpc -b -t 3 -T 1 -O mtu -x hostname:"$name" -s /etc/lease -i "$port" >/dev/null 2>&1
    else
      ifconfig "$port" "$address" netmask "$mask"
      [ -z "$gateway" ] || route add default gw "$gateway"
    fi
    ;;
  esac
done
acpid -l /dev/null 2>/dev/null
echo "$(hostname) is ready"
while true; do setsid cttyhack sh; done
INIT
sed -i "s/WANTED/$wanted/" "$image/init"
cat >"$image/etc/lease" <<'LEASE'
#!/bin/sh
case $1 in
bound | renew)
  ifconfig "$interface" "$ip" netmask "$subnet" ${mtu:+mtu "$mtu"}
  route del default 2>/dev/null
  for gateway in $router; do route add default gw "$gateway" && break; done
  {
    [ -z "$domain" ] || echo "search $domain"
    for server in $dns; do echo "nameserver $server"; done
  } >/etc/resolv.conf
  ;;
esac
LEASE
printf '#!/bin/sh\npoweroff -f\n' >"$image/etc/acpi/PWRF/00000080"
chmod 755 "$image/init" "$image/etc/lease" "$image/etc/acpi/PWRF/00000080"

(cd "$image" && find . | "$busybox" cpio -o -H newc 2>/dev/null) | gzip -1 >"$folder/initrd.img"
cp "$kernel" "$folder/vmlinuz"
chmod 644 "$folder/vmlinuz" "$folder/initrd.img"
echo "$folder: vmlinuz ($version) and initrd.img"
