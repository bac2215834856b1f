"""What happens where a privilege is missing: status 4, what is missing, and nothing left."""

from __future__ import annotations

from tests.machine import EXAMPLES, ORDINARY_USER, Machine, linkspan_command

DEMO = EXAMPLES / "three-containers.yaml"


def assert_says_what_is_missing(machine: Machine, command: list[str]) -> None:
    refused = machine.run([*command, *linkspan_command("up", DEMO)], 4)
    assert "the kernel gives us no namespaces for the lab" in refused.stderr
    assert "run as root, or allow user namespaces" in refused.stderr
    assert "user.max_user_namespaces" in refused.stderr
    assert machine.traces() - machine.before == []


def test_root_without_the_privilege(machine: Machine) -> None:
    assert_says_what_is_missing(
        machine, ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    )


def test_an_ordinary_user_where_user_namespaces_are_forbidden(ordinary_machine: Machine) -> None:
    # A user namespace has a limit of its own for those inside it. One in which there may be one
    # more, and that one, are a place where there can't be another.
    forbid = (
        "echo 1 > /proc/sys/user/max_user_namespaces"
        f' && exec unshare --user --map-user={ORDINARY_USER} "$@"'
    )
    limited = ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh"]
    assert_says_what_is_missing(ordinary_machine, limited)


def test_an_ordinary_user_needs_no_device(ordinary_machine: Machine) -> None:
    ordinary_machine.linkspan("up", DEMO)
    ports = ordinary_machine.linkspan("ports").stdout
    may_open = ordinary_machine.run(["test", "-w", "/dev/net/tun"], None).returncode == 0
    assert (" tap " if may_open else " veth ") in ports
    ordinary_machine.linkspan("ping", "demo")
    ordinary_machine.linkspan("down", "demo")


def test_a_runtime_folder_that_does_not_exist_is_replaced_by_a_private_one(
    ordinary_machine: Machine,
) -> None:
    private = f"/tmp/linkspan-{ordinary_machine.user}"
    environment = {"XDG_RUNTIME_DIR": "/nowhere"}
    ordinary_machine.run(["mkdir", "-m", "0777", private], None)
    refused = ordinary_machine.linkspan("up", DEMO, environment=environment, status=4)
    assert f"{private} is not a private folder of yours" in refused.stderr
    ordinary_machine.run(["chmod", "0700", private], 0)
    ordinary_machine.linkspan("up", DEMO, environment=environment)
    ordinary_machine.linkspan("ping", environment=environment)
    ordinary_machine.linkspan("down", "demo", environment=environment)
    ordinary_machine.run(["rmdir", private], None)


def test_a_tap_where_none_can_be_made(machine: Machine) -> None:
    file = machine.file("bridges: {br0: {ports: {vm1: {kind: tap}}}}")
    hide = 'mount -n -t tmpfs none /dev/net && exec "$@"'
    hidden = ["unshare", "--mount", "sh", "-c", hide, "sh"]
    refused = machine.run([*hidden, *linkspan_command("up", file)], 4)
    assert "bridge br0, port vm1: a tap needs /dev/net/tun, which can't be opened" in refused.stderr
    assert machine.traces() - machine.before == []
