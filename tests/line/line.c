// A long line in user space: two TUN devices, each in a network namespace of its own. A packet that enters at one end is
// lost or not, waits for its turn at the rate, or is dropped when the queue is full, and leaves at the other end after half
// the round trip.
//
//   line NAMESPACE_A NAMESPACE_B [KEY=VALUE…]      namespaces are paths, like /proc/PID/ns/net; A is 10.77.0.1, B 10.77.0.2
//
//   rtt=100        round trip, ms                    jitter=0      further delay, up to this at random, ms; in order
//   rate=100       Mbit/s, each direction            reorder=0     so many percent of packets come 2 ms late, out of order
//   queue=100      percent of rate × rtt             police=0      Mbit/s that a policer lets through; its bucket is 100 ms
//   loss=0         percent, at random                seed=1        of all that is random
//   burst=1        packets that are lost together
//
// Says "up" on standard output. SIGUSR1: a line of counts, A to B and B to A. SIGTERM: the counts, and the end.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SLOTS (1u << 16)
#define PACKET_MAX 2048
#define LATE 0.002

struct packet {
    double due;
    int length;
    unsigned char *bytes;
};

// Packets in the order of their due times.
struct fifo {
    struct packet *slots;
    unsigned head, tail;
};

struct direction {
    struct fifo straight, late;
    uint64_t random;
    double free_at, last_due, bucket, bucket_at;
    long lost_in_row;
    long in, lost, policed, full, out;
};

static double rtt = 100, rate = 100, queue = 100, loss, burst = 1, jitter, reorder, police, seed = 1;
static volatile sig_atomic_t asked, ended;

static void on_signal(int signal) {
    if (signal == SIGUSR1)
        asked = 1;
    else
        ended = 1;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// At random from 0 to 1 (xorshift64).
static double chance(struct direction *d) {
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return (double)(d->random >> 11) / 9007199254740992.0;
}

static void parse(const char *argument) {
    static const struct { const char *key; double *value; } keys[] = {
        {"rtt=", &rtt}, {"rate=", &rate}, {"queue=", &queue}, {"loss=", &loss}, {"burst=", &burst},
        {"jitter=", &jitter}, {"reorder=", &reorder}, {"police=", &police}, {"seed=", &seed},
    };
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t length = strlen(keys[i].key);
        if (strncmp(argument, keys[i].key, length))
            continue;
        char *end;
        *keys[i].value = strtod(argument + length, &end);
        if (*end || end == argument + length || *keys[i].value < 0)
            break;
        return;
    }
    fprintf(stderr, "line: %s is not understood\n", argument);
    exit(2);
}

static int device(const char *namespace, const char *address) {
    int there = open(namespace, O_RDONLY | O_CLOEXEC);
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (there < 0 || here < 0 || setns(there, CLONE_NEWNET))
        die(namespace);
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "line0"};
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request))
        die("/dev/net/tun");
    char command[256];
    snprintf(command, sizeof command,
             "ip address add %s/24 dev line0 && ip link set line0 mtu 1500 txqueuelen 10000 up && ip link set lo up", address);
    if (system(command) || setns(here, CLONE_NEWNET))
        die("ip");
    close(there);
    close(here);
    return tun;
}

static int push(struct fifo *fifo, double due, const unsigned char *bytes, int length) {
    struct packet *packet = &fifo->slots[fifo->tail % SLOTS];
    if (fifo->tail - fifo->head >= SLOTS || !(packet->bytes = malloc((size_t)length)))
        return 0;
    memcpy(packet->bytes, bytes, (size_t)length);
    packet->due = due;
    packet->length = length;
    fifo->tail++;
    return 1;
}

static int is_lost(struct direction *d) {
    if (d->lost_in_row > 0) {
        d->lost_in_row--;
        return 1;
    }
    if (chance(d) >= loss / 100 / burst)
        return 0;
    d->lost_in_row = (long)burst - 1;
    return 1;
}

static int is_policed(struct direction *d, double t, int length) {
    if (police == 0)
        return 0;
    double speed = police * 1e6 / 8, most = speed * 0.1;
    d->bucket += (t - d->bucket_at) * speed;
    d->bucket_at = t;
    if (d->bucket > most)
        d->bucket = most;
    if (d->bucket < length)
        return 1;
    d->bucket -= length;
    return 0;
}

static void enter(struct direction *d, double t, const unsigned char *bytes, int length) {
    double speed = rate * 1e6 / 8, most = speed * rtt / 1e3 * queue / 100;
    d->in++;
    if (is_lost(d)) {
        d->lost++;
        return;
    }
    if (is_policed(d, t, length)) {
        d->policed++;
        return;
    }
    if (d->free_at < t)
        d->free_at = t;
    // Two packets always find a place.
    if ((d->free_at - t) * speed > (most > 3000 ? most : 3000)) {
        d->full++;
        return;
    }
    double due = d->free_at + length / speed + rtt / 2e3 + (jitter > 0 ? chance(d) * jitter / 1e3 : 0);
    int late = reorder > 0 && chance(d) < reorder / 100;
    if (late)
        due += LATE;
    else if (due < d->last_due)
        due = d->last_due;
    if (!push(late ? &d->late : &d->straight, due, bytes, length)) {
        d->full++;
        return;
    }
    d->free_at += length / speed;
    if (!late)
        d->last_due = due;
}

// Lets out what is due; says when the next one is.
static double leave(struct direction *d, struct fifo *fifo, double t, int tun) {
    while (fifo->head != fifo->tail) {
        struct packet *packet = &fifo->slots[fifo->head % SLOTS];
        if (packet->due > t)
            return packet->due;
        if (write(tun, packet->bytes, (size_t)packet->length) == packet->length)
            d->out++;
        free(packet->bytes);
        fifo->head++;
    }
    return t + 1;
}

static void tell(const struct direction *directions) {
    for (int i = 0; i < 2; i++) {
        const struct direction *d = &directions[i];
        printf("%sin=%ld lost=%ld policed=%ld full=%ld out=%ld", i ? " | " : "", d->in, d->lost, d->policed, d->full, d->out);
    }
    printf("\n");
    fflush(stdout);
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: line NAMESPACE_A NAMESPACE_B [KEY=VALUE…]\n");
        return 2;
    }
    for (int i = 3; i < count; i++)
        parse(arguments[i]);
    if (burst < 1 || rate <= 0)
        return 2;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    int tuns[2] = {device(arguments[1], "10.77.0.1"), device(arguments[2], "10.77.0.2")};
    static struct direction directions[2];
    for (int i = 0; i < 2; i++) {
        struct direction *d = &directions[i];
        d->straight.slots = calloc(SLOTS, sizeof(struct packet));
        d->late.slots = calloc(SLOTS, sizeof(struct packet));
        if (!d->straight.slots || !d->late.slots)
            die("memory");
        d->random = ((uint64_t)seed * 2 + (uint64_t)i + 1) * 0x9e3779b97f4a7c15u;
        d->bucket = police * 1e6 / 8 * 0.1;
        d->bucket_at = now();
    }
    printf("up\n");
    fflush(stdout);
    while (!ended) {
        static unsigned char bytes[PACKET_MAX];
        double next = now() + 1;
        int busy = 0;
        for (int i = 0; i < 2; i++) {
            struct direction *d = &directions[i];
            for (int k = 0; k < 64; k++) {
                ssize_t length = read(tuns[i], bytes, sizeof bytes);
                if (length <= 0)
                    break;
                busy = 1;
                enter(d, now(), bytes, (int)length);
            }
            double t = now(), a = leave(d, &d->straight, t, tuns[1 - i]), b = leave(d, &d->late, t, tuns[1 - i]);
            if (a < next)
                next = a;
            if (b < next)
                next = b;
        }
        if (asked) {
            asked = 0;
            tell(directions);
        }
        double wait = next - now();
        if (busy || wait <= 0)
            continue;
        struct pollfd polls[2] = {{.fd = tuns[0], .events = POLLIN}, {.fd = tuns[1], .events = POLLIN}};
        struct timespec time = {.tv_sec = (time_t)wait, .tv_nsec = (long)((wait - (double)(time_t)wait) * 1e9)};
        if (ppoll(polls, 2, &time, NULL) < 0 && errno != EINTR)
            die("ppoll");
    }
    tell(directions);
    return 0;
}
