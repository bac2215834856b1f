/* Bare Ethernet frames from packet sockets: many senders in one, and the time of a flow's first.
 *
 * usage: frames announce                        (each frame of the list once, in order)
 *        frames flood                           (all of them again and again, until killed)
 *        frames first NETNS-A NETNS-B FLOWS
 *
 * announce and flood read their list from standard input, a frame a line: NETNS SOURCE DESTINATION.
 * Frames leave by the `eth0` of NETNS, those of the same NETNS by the same socket, BURST at a time,
 * one socket after the other. One process for all ports, so that a hundred ports are not a
 * hundred processes in want of two cores. All are 60 bytes long (64 with the frame check sequence)
 * and of IEEE 802's local experimental ethertype 1, which no stack looks at.
 *
 * first has B announce a new address, waits PAUSE for the switch to be done with that, then sends frames from a new address in A to it, each when
 * the one before has arrived, and measures from the system call that sends to the one that
 * receives: medians in microseconds over FLOWS such pairs of addresses, as one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
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

enum { BURST = 64, SIZE = 60, ETHERTYPE = 0x88b5, MOST_PORTS = 256, OF_A_FLOW = 8, MOST_FLOWS = 4096 };
static const useconds_t PACE = 100; /* microseconds between announcements: none may be lost */
static const useconds_t PAUSE = 300;

struct frame {
    uint8_t destination[6], source[6], type[2];
    uint32_t sequence;
    uint8_t rest[SIZE - 18];
} __attribute__((packed));

struct port {
    int socket;
    size_t count, next;
    struct frame *frames;
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
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int packet_socket(const char *namespace_path)
{
    int namespace = open(namespace_path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0)
        fail(namespace_path);
    close(namespace);
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETHERTYPE)), on = 1;
    struct sockaddr_ll where = {.sll_family = AF_PACKET,
                                .sll_protocol = htons(ETHERTYPE),
                                .sll_ifindex = (int)if_nametoindex("eth0")};
    if (s < 0 || bind(s, (struct sockaddr *)&where, sizeof where) < 0)
        fail("packet socket");
    setsockopt(s, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    return s;
}

static void parse_mac(uint8_t *mac, const char *text)
{
    if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4,
               mac + 5) != 6) {
        fprintf(stderr, "not a MAC address: %s\n", text);
        exit(2);
    }
}

static struct frame frame_of(const char *source, const char *destination)
{
    struct frame made = {.type = {ETHERTYPE >> 8, ETHERTYPE & 0xff}};
    parse_mac(made.source, source);
    parse_mac(made.destination, destination);
    return made;
}

static size_t read_list(struct port *ports)
{
    char path[256], last[256] = "", source[32], destination[32];
    size_t count = 0;
    while (scanf("%255s %31s %31s", path, source, destination) == 3) {
        if (strcmp(path, last)) {
            if (count == MOST_PORTS)
                exit(2);
            ports[count++] = (struct port){.socket = packet_socket(path)};
            strcpy(last, path);
        }
        struct port *port = &ports[count - 1];
        port->frames = realloc(port->frames, (port->count + 1) * sizeof(struct frame));
        if (!port->frames)
            fail("frames");
        port->frames[port->count++] = frame_of(source, destination);
    }
    return count;
}

static int announce(struct port *ports, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* Nothing else reads this socket, and what arrives here is not of interest. */
        for (size_t k = 0; k < ports[i].count; k++) {
            if (send(ports[i].socket, &ports[i].frames[k], SIZE, 0) < 0)
                fail("send");
            usleep(PACE);
        }
    }
    return 0;
}

static void send_burst(struct port *port)
{
    struct mmsghdr messages[BURST];
    struct iovec parts[BURST];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < BURST; i++) {
        parts[i] = (struct iovec){.iov_base = &port->frames[port->next], .iov_len = SIZE};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        port->next = port->next + 1 < port->count ? port->next + 1 : 0;
    }
    if (sendmmsg(port->socket, messages, BURST, 0) < 0 && errno != ENOBUFS)
        fail("sendmmsg");
}

static _Noreturn void flood(struct port *ports, size_t count)
{
    for (;;)
        for (size_t i = 0; i < count; i++)
            send_burst(&ports[i]);
}

/* Waits for the frame with that number and returns when it came; 0 when it did not. */
static double arrival(int s, uint32_t sequence)
{
    struct frame got;
    for (;;) {
        if (recv(s, &got, sizeof got, 0) < 0)
            return 0;
        if (got.sequence == sequence)
            return now();
    }
}

static int ascending(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static float median(float *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

static int first(const char *here, const char *there, uint32_t flows)
{
    static float times[OF_A_FLOW][MOST_FLOWS];
    size_t arrived[OF_A_FLOW] = {0};
    int left = packet_socket(here), right = packet_socket(there);
    struct timeval patience = {.tv_usec = 200000};
    setsockopt(left, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(right, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct frame ask = frame_of("02:00:00:03:00:00", "02:00:00:04:00:00"), tell = ask;
    uint32_t sequence = 0, lost = 0;
    memset(tell.destination, 0xff, 6);
    for (uint32_t flow = 0; flow < flows && flow < MOST_FLOWS; flow++) {
        uint16_t number = htons(flow);
        memcpy(ask.source + 4, &number, 2);
        memcpy(ask.destination + 4, &number, 2);
        memcpy(tell.source, ask.destination, 6);
        tell.sequence = ++sequence;
        if (send(right, &tell, SIZE, 0) < 0)
            fail("send");
        arrival(left, sequence);
        usleep(PAUSE);
        for (int k = 0; k < OF_A_FLOW; k++) {
            ask.sequence = ++sequence;
            double sent = now();
            if (send(left, &ask, SIZE, 0) < 0)
                fail("send");
            double came = arrival(right, sequence);
            if (came)
                times[k][arrived[k]++] = came - sent;
            else
                lost++;
        }
    }
    for (int k = 0; k < OF_A_FLOW; k++)
        if (!arrived[k]) {
            fprintf(stderr, "no frame arrived as number %d of its flow\n", k + 1);
            return 1;
        }
    printf("{\"first\": %.2f, \"second\": %.2f, \"later\": %.2f, \"lost\": %u}\n",
           median(times[0], arrived[0]), median(times[1], arrived[1]),
           median(times[OF_A_FLOW - 1], arrived[OF_A_FLOW - 1]), lost);
    return 0;
}

int main(int argc, char **argv)
{
    static struct port ports[MOST_PORTS];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char *command = argc > 1 ? argv[1] : "";
    if (!strcmp(command, "announce") && argc == 2)
        return announce(ports, read_list(ports));
    if (!strcmp(command, "flood") && argc == 2) {
        size_t count = read_list(ports);
        if (count)
            flood(ports, count);
    }
    if (!strcmp(command, "first") && argc == 5)
        return first(argv[2], argv[3], (uint32_t)atoi(argv[4]));
    fprintf(stderr, "usage: frames announce | flood | first A B FLOWS (see frames.c)\n");
    return 2;
}
