/* How many frames tc's ingress filters drop at many interfaces, read by one process.
 *
 * usage: counts WARM-UP SECONDS      (standard input: the path of a network namespace a line)
 *
 * Waits until another frame is dropped anywhere, then WARM-UP seconds, then counts for SECONDS at
 * the `eth0` of every namespace. Each counter is timed by itself, so that reading a hundred of
 * them is no part of the time. Prints one line of JSON: drops per second, all together.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/gen_stats.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PLACES = 1024, ANSWER = 1 << 15 };
static const double PATIENCE = 15; /* seconds that the first frame may take */

struct place {
    int socket, interface;
    double since;
    uint32_t dropped;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static struct place place_at(const char *namespace_path)
{
    int namespace = open(namespace_path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0)
        fail(namespace_path);
    close(namespace);
    struct place made = {.socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
                         .interface = (int)if_nametoindex("eth0")};
    if (made.socket < 0 || !made.interface)
        fail("eth0");
    return made;
}

static const struct rtattr *attribute(const struct rtattr *first, int size, int type)
{
    for (; RTA_OK(first, size); first = RTA_NEXT(first, size))
        if ((first->rta_type & NLA_TYPE_MASK) == type)
            return first;
    return NULL;
}

/* Drops of one queueing discipline, when it is the clsact of that interface. */
static int drops_of(const struct nlmsghdr *message, int interface, uint32_t *drops)
{
    const struct tcmsg *about = NLMSG_DATA(message);
    const struct rtattr *all = (const void *)((const char *)about + NLMSG_ALIGN(sizeof *about));
    int size = (int)NLMSG_PAYLOAD(message, sizeof *about);
    const struct rtattr *kind = attribute(all, size, TCA_KIND);
    const struct rtattr *statistics = attribute(all, size, TCA_STATS2);
    if (about->tcm_ifindex != interface || !kind || strcmp(RTA_DATA(kind), "clsact") || !statistics)
        return 0;
    const struct rtattr *queue =
        attribute(RTA_DATA(statistics), (int)RTA_PAYLOAD(statistics), TCA_STATS_QUEUE);
    if (!queue)
        return 0;
    *drops = ((const struct gnet_stats_queue *)RTA_DATA(queue))->drops;
    return 1;
}

static uint32_t dropped_at(const struct place *place)
{
    static char answer[ANSWER] __attribute__((aligned(NLMSG_ALIGNTO)));
    struct {
        struct nlmsghdr head;
        struct tcmsg about;
    } ask = {
        .head = {.nlmsg_len = sizeof ask,
                 .nlmsg_type = RTM_GETQDISC,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .about = {.tcm_ifindex = place->interface},
    };
    uint32_t drops = 0;
    int found = 0;
    if (send(place->socket, &ask, sizeof ask, 0) < 0)
        fail("netlink");
    for (;;) {
        int size = (int)recv(place->socket, answer, sizeof answer, 0);
        if (size < 0)
            fail("netlink");
        const struct nlmsghdr *message = (const void *)answer;
        for (; NLMSG_OK(message, (unsigned)size); message = NLMSG_NEXT(message, size)) {
            if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
                if (found)
                    return drops;
                fprintf(stderr, "no clsact at eth0\n");
                exit(1);
            }
            found |= drops_of(message, place->interface, &drops);
        }
    }
}

static void wait_for_any(struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        places[i].dropped = dropped_at(&places[i]);
    for (double begin = now(); now() - begin < PATIENCE; usleep(20000))
        for (size_t i = 0; i < count; i++)
            if (dropped_at(&places[i]) != places[i].dropped)
                return;
    fprintf(stderr, "no frame arrived\n");
    exit(1);
}

int main(int argc, char **argv)
{
    static struct place places[MOST_PLACES];
    char path[256];
    size_t count = 0;
    double rate = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 3) {
        fprintf(stderr, "usage: counts WARM-UP SECONDS (see counts.c)\n");
        return 2;
    }
    while (count < MOST_PLACES && scanf("%255s", path) == 1)
        places[count++] = place_at(path);
    wait_for_any(places, count);
    usleep((useconds_t)(atof(argv[1]) * 1e6));
    for (size_t i = 0; i < count; i++) {
        places[i].dropped = dropped_at(&places[i]);
        places[i].since = now();
    }
    usleep((useconds_t)(atof(argv[2]) * 1e6));
    for (size_t i = 0; i < count; i++) {
        uint32_t drops = dropped_at(&places[i]) - places[i].dropped;
        rate += drops / (now() - places[i].since);
    }
    printf("{\"rate\": %.1f}\n", rate);
    return 0;
}
