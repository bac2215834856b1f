/* The measuring ends of the bench: senders, receivers, and the holder of a namespace.
 *
 * usage: traffic hold
 *        traffic exec         NETNS COMMAND...
 *        traffic tcp-receive  NETNS PORT
 *        traffic tcp-send     NETNS ADDRESS PORT SECONDS
 *        traffic udp-receive  NETNS PORT SECONDS
 *        traffic udp-send     NETNS ADDRESS PORT SECONDS AT-ONCE
 *        traffic udp-echo     NETNS PORT
 *        traffic udp-ping     NETNS ADDRESS PORT SECONDS
 *
 * NETNS is a path such as /proc/123/ns/net; every command enters it first. All die with the process
 * that started them (PR_SET_PDEATHSIG, kept across exec), so that a killed bench leaves nothing.
 * What waits for others prints "ready" once it may be talked to; what measures prints one line of
 * JSON at its end, times in seconds, round trips in microseconds.
 *
 * The same ends serve every contender. Senders never pause: TCP writes 256 KiB at a time, UDP hands
 * the kernel AT-ONCE datagrams per call (1 to BURST), and what the path cannot carry it loses; only
 * the receiver's count is a result. Payload of 18 bytes: 14 Ethernet + 20 IPv4 + 8 UDP + 18 = 60 bytes,
 * with the frame check sequence the 64 of the smallest Ethernet frame (IEEE 802.3 clause 3.2.7).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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

enum {
    BURST = 64,
    PAYLOAD = 18,
    CHUNK = 256 * 1024,
    RECEIVE_BUFFER = 8 << 20,
    MOST_SAMPLES = 1 << 20,
};
static const double WARM_UP = 0.2;     /* seconds that the UDP receiver ignores */
static const double FIRST_PACKET = 10; /* seconds that a receiver waits for a sender at all */

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

static void ready(void)
{
    puts("ready");
    fflush(stdout);
}

static void enter(const char *path)
{
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0)
        fail(path);
    close(namespace);
}

static struct sockaddr_in at(const char *address, const char *port)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    if (inet_pton(AF_INET, address, &where.sin_addr) != 1) {
        fprintf(stderr, "not an IPv4 address: %s\n", address);
        exit(2);
    }
    return where;
}

static int connected(int type, const char *address, const char *port)
{
    struct sockaddr_in where = at(address, port);
    int s = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&where, sizeof where) < 0)
        fail("connect");
    return s;
}

static int bound(int type, const char *port)
{
    struct sockaddr_in where = at("0.0.0.0", port);
    int s = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1, size = RECEIVE_BUFFER;
    if (s < 0)
        fail("socket");
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (type == SOCK_DGRAM)
        setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    if (bind(s, (struct sockaddr *)&where, sizeof where) < 0)
        fail("bind");
    return s;
}

static void receive_timeout(int s, double seconds)
{
    struct timeval t = {.tv_sec = (time_t)seconds,
                        .tv_usec = (suseconds_t)((seconds - (time_t)seconds) * 1e6)};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
}

/* A namespace lives as long as this process; it ends when its standard input does. */
static int hold(void)
{
    char byte;
    if (unshare(CLONE_NEWNET) < 0)
        fail("unshare");
    ready();
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}

static int tcp_receive(const char *port)
{
    static char chunk[CHUNK];
    int listener = bound(SOCK_STREAM, port);
    receive_timeout(listener, FIRST_PACKET); /* accept() obeys it too */
    if (listen(listener, 1) < 0)
        fail("listen");
    ready();
    int s = accept(listener, NULL, NULL);
    if (s < 0)
        fail("accept");
    receive_timeout(s, FIRST_PACKET);
    uint64_t total = 0;
    double start = now();
    ssize_t got;
    while ((got = recv(s, chunk, sizeof chunk, 0)) > 0)
        total += got;
    if (got < 0)
        fail("recv");
    printf("{\"bytes\": %llu, \"seconds\": %.6f}\n", (unsigned long long)total, now() - start);
    return 0;
}

static int tcp_send(const char *address, const char *port, double seconds)
{
    static char chunk[CHUNK];
    int s = connected(SOCK_STREAM, address, port);
    uint64_t total = 0;
    double start = now();
    while (now() - start < seconds) {
        ssize_t sent = send(s, chunk, sizeof chunk, MSG_NOSIGNAL);
        if (sent < 0)
            fail("send");
        total += sent;
    }
    printf("{\"bytes\": %llu, \"seconds\": %.6f}\n", (unsigned long long)total, now() - start);
    return 0;
}

static void prepare(struct mmsghdr *messages, struct iovec *parts, char *bytes, size_t size)
{
    memset(messages, 0, BURST * sizeof *messages);
    for (int i = 0; i < BURST; i++) {
        parts[i] = (struct iovec){.iov_base = bytes + i * size, .iov_len = size};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
}

static int udp_receive(const char *port, double seconds)
{
    static struct mmsghdr messages[BURST];
    static struct iovec parts[BURST];
    static char bytes[BURST * 64];
    int s = bound(SOCK_DGRAM, port);
    prepare(messages, parts, bytes, 64);
    receive_timeout(s, FIRST_PACKET);
    ready();
    if (recvmmsg(s, messages, 1, 0, NULL) < 0)
        fail("no datagram arrived");
    uint64_t total = 0;
    double begin = now() + WARM_UP, end = begin + seconds;
    receive_timeout(s, 0.1); /* a silent sender must not stop the clock */
    for (;;) {
        int got = recvmmsg(s, messages, BURST, MSG_WAITFORONE, NULL);
        double moment = now();
        if (moment >= end)
            break;
        if (got < 0 && errno != EAGAIN)
            fail("recvmmsg");
        if (got > 0 && moment >= begin)
            total += got;
    }
    printf("{\"datagrams\": %llu, \"seconds\": %.6f}\n", (unsigned long long)total, seconds);
    return 0;
}

static int udp_send(const char *address, const char *port, double seconds, int at_once)
{
    static struct mmsghdr messages[BURST];
    static struct iovec parts[BURST];
    static char bytes[BURST * PAYLOAD];
    int s = connected(SOCK_DGRAM, address, port);
    prepare(messages, parts, bytes, PAYLOAD);
    uint64_t total = 0;
    double start = now();
    while (now() - start < seconds) {
        int sent = sendmmsg(s, messages, at_once, 0);
        if (sent < 0 && errno != ENOBUFS && errno != ECONNREFUSED)
            fail("sendmmsg");
        total += sent > 0 ? sent : 0;
    }
    printf("{\"datagrams\": %llu, \"seconds\": %.6f}\n", (unsigned long long)total, now() - start);
    return 0;
}

_Noreturn static void udp_echo(const char *port)
{
    char bytes[64];
    int s = bound(SOCK_DGRAM, port);
    ready();
    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(s, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size);
        if (got >= 0)
            sendto(s, bytes, got, 0, (struct sockaddr *)&from, size);
    }
}

static int ascending(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static int udp_ping(const char *address, const char *port, double seconds)
{
    static float samples[MOST_SAMPLES];
    int s = connected(SOCK_DGRAM, address, port), count = 0, lost = 0;
    char bytes[PAYLOAD] = {0};
    uint32_t sequence = 0, echoed = 0;
    receive_timeout(s, 0.2);
    double begin = now();
    while (now() - begin < seconds && count < MOST_SAMPLES) {
        sequence++;
        memcpy(bytes, &sequence, sizeof sequence);
        double sent_at = now();
        if (send(s, bytes, sizeof bytes, 0) < 0 && errno != ECONNREFUSED)
            fail("send");
        do { /* an answer that came after its time-out is not this one's */
            ssize_t got = recv(s, bytes, sizeof bytes, 0);
            if (got < 0)
                break;
            memcpy(&echoed, bytes, sizeof echoed);
        } while (echoed != sequence);
        if (echoed == sequence)
            samples[count++] = (now() - sent_at) * 1e6;
        else
            lost++;
    }
    if (!count) {
        fprintf(stderr, "no answer from %s\n", address);
        return 1;
    }
    qsort(samples, count, sizeof *samples, ascending);
    printf("{\"median\": %.2f, \"p99\": %.2f, \"count\": %d, \"lost\": %d}\n", samples[count / 2],
           samples[count * 99 / 100], count, lost);
    return 0;
}

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char *command = argc > 1 ? argv[1] : "";
    if (!strcmp(command, "hold") && argc == 2)
        return hold();
    if (argc >= 4) {
        enter(argv[2]);
        if (!strcmp(command, "exec")) {
            execvp(argv[3], argv + 3);
            fail(argv[3]);
        }
        if (!strcmp(command, "tcp-receive") && argc == 4)
            return tcp_receive(argv[3]);
        if (!strcmp(command, "tcp-send") && argc == 6)
            return tcp_send(argv[3], argv[4], atof(argv[5]));
        if (!strcmp(command, "udp-receive") && argc == 5)
            return udp_receive(argv[3], atof(argv[4]));
        if (!strcmp(command, "udp-send") && argc == 7 && atoi(argv[6]) >= 1 &&
            atoi(argv[6]) <= BURST)
            return udp_send(argv[3], argv[4], atof(argv[5]), atoi(argv[6]));
        if (!strcmp(command, "udp-echo") && argc == 4)
            udp_echo(argv[3]);
        if (!strcmp(command, "udp-ping") && argc == 6)
            return udp_ping(argv[3], argv[4], atof(argv[5]));
    }
    fprintf(stderr, "usage: traffic hold | traffic COMMAND NETNS ARGUMENTS (see traffic.c)\n");
    return 2;
}
