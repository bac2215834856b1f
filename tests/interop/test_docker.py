"""A lab of scope host and a real Docker on one machine: each lets the other work.

Docker drops what it does not know of, so bridges of ours are let pass in its chain for others, and
go on passing whatever Docker does: what is routed, and what is merely switched, since the kernel
takes that through the firewall, too (br_netfilter).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from tests.docker_host import DOCKER, DockerHost
from tests.examples.networks import ask, serving
from tests.firewall_host import HOST, HOST6, OUTSIDE, OUTSIDE6

LAB = """
name: office
scope: host
bridges:
  br0:
    address: [10.9.0.254/24, "fd00:9::fe/64"]
    forward: nat
    publish: ["8080:a:80"]
  br1: {engine: kernel}
nodes:
  a: {ports: {eth0: {bridge: br0, address: [10.9.0.1/24, "fd00:9::1/64"]}}}
  b: {ports: {eth0: {bridge: br1, address: 10.8.0.1/24}}}
  c: {ports: {eth0: {bridge: br1, address: 10.8.0.2/24}}}
"""
PASSES = [
    f"+ let {bridge} pass Docker's firewall: accept it in DOCKER-USER of table ip filter"
    for bridge in ("br0", "br1")
]
FROM_OUTSIDE = [f"tcp/{HOST}/8080", f"tcp/{HOST6}/8080", f"tcp/{HOST}/8081"]
TO_OUTSIDE = [f"tcp/{OUTSIDE}/7", f"tcp/{OUTSIDE6}/7"]


WITH_IPV6 = ("--experimental", "--ip6tables", "--ipv6", "--fixed-cidr-v6=fd17::/64")


@contextlib.contextmanager
def docker_host(iptables: str, *options: str) -> Iterator[DockerHost]:
    host = DockerHost(iptables, *options)
    try:
        yield host
    finally:
        host.close()


@pytest.fixture
def host() -> Iterator[DockerHost]:
    with docker_host("nft") as found:
        yield found


@contextlib.contextmanager
def serving_all(host: DockerHost) -> Iterator[None]:
    with serving(host.machine, "office/a", "tcp:80"), host.serving_outside("tcp:7"):
        yield


def assert_all_works(host: DockerHost) -> None:
    """What was published is reached, ours and Docker's, and both reach the outside."""
    wanted = [f"a {OUTSIDE}", f"a {OUTSIDE6}", "docker-box"]
    assert host.ask_from_outside(*FROM_OUTSIDE) == wanted
    assert ask(host.machine, "office/a", *TO_OUTSIDE) == [f"out {HOST}", f"out {HOST6}"]
    host.machine.linkspan("exec", "office/b", "--", "ping", "-c1", "-W5", "10.8.0.2")
    assert_docker_works(host)


def assert_docker_works(host: DockerHost) -> None:
    assert host.ask_from_outside(FROM_OUTSIDE[2]) == ["docker-box"]
    host.shell(f"{DOCKER} exec docker-box ping -c1 -W5 {OUTSIDE}")


def test_docker_and_a_lab_work_side_by_side(host: DockerHost) -> None:
    host.start()
    host.container("docker-box", published=8081)
    before = host.saved()
    file = host.machine.file(LAB)
    wanted = [f"{each}  (the file declares it)" for each in PASSES]
    assert [step for step in host.plan(file) if "Docker" in step] == wanted
    host.machine.linkspan("up", file)
    host.machine.linkspan("plan", "--check", file)
    with serving_all(host):
        assert_all_works(host)

        host.restart()
        host.machine.linkspan("plan", "--check", file)
        assert_all_works(host)

        host.shell("iptables -F DOCKER-USER; iptables -A DOCKER-USER -j RETURN")
        assert host.ask_from_outside(FROM_OUTSIDE[0]) == ["no"], "our rules are needed"
        assert host.plan(file) == [f"{each}  (it was removed by other hands)" for each in PASSES]
        host.machine.linkspan("up", file)
        assert_all_works(host)
    host.machine.linkspan("down", "office")
    assert host.saved() == before
    assert_docker_works(host)


def test_docker_that_comes_later_is_told_and_keeps_what_it_needs(host: DockerHost) -> None:
    file = host.machine.file(LAB)
    host.machine.linkspan("up", file)
    host.start()
    host.container("docker-box", published=8081)
    # Docker does so only where it has switched forwarding on itself.
    host.shell("iptables -P FORWARD DROP")
    before = host.saved()
    assert host.plan(file) == [f"{each}  (the file declares it)" for each in PASSES]
    host.machine.linkspan("up", file)
    with serving_all(host):
        assert_all_works(host)
    host.machine.linkspan("down", "office")
    assert host.saved() == before
    assert_docker_works(host)


@pytest.mark.parametrize(
    ("iptables", "options", "found", "step"),
    [
        (
            "legacy",
            [],
            "chain FORWARD of table ip filter (legacy) (Docker), hook forward, policy drop",
            "next: iptables-legacy -I DOCKER-USER -i br0 -j ACCEPT; iptables-legacy -I DOCKER-USER",
        ),
        (
            "nft",
            WITH_IPV6,
            "chain FORWARD of table ip6 filter (Docker), hook forward, policy drop",
            "next: ip6tables -I FORWARD -i br0 -j ACCEPT; ip6tables -I FORWARD -o br0",
        ),
    ],
    ids=["legacy", "ipv6-without-a-chain-for-others"],
)
def test_what_only_dockers_owner_may_do_is_said_and_helps(
    iptables: str, options: list[str], found: str, step: str
) -> None:
    with docker_host(iptables, *options) as host:
        host.start()
        host.container("docker-box", published=8081)
        file = host.machine.file(LAB)
        refused = host.refusal(file)
        assert found in refused
        assert step in refused
        host.follow(refused)
        told = host.saved()
        host.machine.linkspan("up", file)
        host.restart()
        with serving_all(host):
            host.machine.linkspan("plan", "--check", file)
            assert_all_works(host)
        host.machine.linkspan("down", "office")
        assert sorted(host.saved()) == sorted(told)
