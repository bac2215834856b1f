/* The limit for any user-space switch on taps: copy frames between two taps, decide nothing.
 *
 * usage: c_loop NETNS-A IFNAME-A NETNS-B IFNAME-B      (NETNS: a path such as /proc/123/ns/net)
 *
 * Each tap is made inside its namespace, with IFF_VNET_HDR and every offload the kernel takes, so
 * that a "frame" may be a 64 KiB TCP segment that nobody cuts or checksums. Prints "ready" once
 * both taps exist, then copies until killed; dies with its parent.
 *
 * One poll() per wake-up, then bursts of up to BURST reads per tap: the system calls per frame are
 * the two that cannot be avoided, one read and one write. A frame that the other tap refuses (its
 * interface is down, its queue is full) is lost, as on a wire.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum { BURST = 64, VNET_HEADER = 10, LARGEST_FRAME = VNET_HEADER + 14 + 4 + 65535 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int open_tap(const char *namespace_path, const char *name)
{
    int namespace = open(namespace_path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0)
        fail(namespace_path);
    close(namespace);

    int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (tap < 0 || ioctl(tap, TUNSETIFF, &request) < 0)
        fail("tap");

    int header = VNET_HEADER;
    if (ioctl(tap, TUNSETVNETHDRSZ, &header) < 0)
        fail("TUNSETVNETHDRSZ");
    unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    if (ioctl(tap, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) < 0 &&
        ioctl(tap, TUNSETOFFLOAD, tcp) < 0) /* before Linux 6.2 there is no USO */
        fail("TUNSETOFFLOAD");
    return tap;
}

static void copy_burst(int from, int to)
{
    static char frame[LARGEST_FRAME];
    for (int i = 0; i < BURST; i++) {
        ssize_t size = read(from, frame, sizeof frame);
        if (size < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == EIO) /* EIO: interface still down */
                return;
            fail("read");
        }
        if (write(to, frame, size) < 0 && errno != EAGAIN && errno != EIO && errno != EINVAL)
            fail("write");
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: c_loop NETNS-A IFNAME-A NETNS-B IFNAME-B\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct pollfd taps[2] = {
        {.fd = open_tap(argv[1], argv[2]), .events = POLLIN},
        {.fd = open_tap(argv[3], argv[4]), .events = POLLIN},
    };
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (poll(taps, 2, -1) < 0 && errno != EINTR)
            fail("poll");
        for (int i = 0; i < 2; i++)
            if (taps[i].revents)
                copy_burst(taps[i].fd, taps[1 - i].fd);
    }
}
