#!/bin/sh
# A lab as an administrator writes it: containers on one bridge, each with an address and a default
# route. by_hand.sh up|down NUMBER, as root; names begin with "hand-".
#
# `ip` starts once for each namespace that is made, once for all ports, and once in each container,
# so nothing is done by a process of its own that a batch could do.
set -eu
action=$1
number=$2

add_port() {
  echo "link add n$1.eth0 up master br0 type veth peer name eth0 netns hand-$1"
}

each() {
  i=0
  while [ "$i" -lt "$number" ]; do
    "$1" "$i"
    i=$((i + 1))
  done
}

add_namespace() {
  ip netns add "hand-$1"
}

delete_namespace() {
  ip netns delete "hand-$1"
}

set_up_container() {
  place=$(($1 + 2))
  ip -n "hand-$1" -batch - <<END
link set lo up
link set eth0 up
address add 10.99.$((place / 256)).$((place % 256))/16 dev eth0
route add default via 10.99.0.1
END
}

case $action in
up)
  ip netns add hand-host
  ip -n hand-host -batch - <<END
link set lo up
link add br0 type bridge
address add 10.99.0.1/16 dev br0
link set br0 up
END
  each add_namespace
  each add_port | ip -n hand-host -batch -
  each set_up_container
  ;;
down)
  each delete_namespace
  ip netns delete hand-host
  ;;
esac
