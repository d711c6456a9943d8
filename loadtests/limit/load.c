/* A load generator that speaks enough Kafka to be cheaper than any server it drives.
 *
 *   load PORT produce|fetch|versions TOPIC [NAME=VALUE]...
 *
 * Each of `connections` keeps `depth` requests in flight, until `warm` + `requests` are answered in
 * all, each its share. Connection i writes to, or reads from, partition i modulo `partitions`. A produce (v9,
 * acks=-1) holds one prebuilt batch of uncompressed records; `idempotent`=1 gives each connection a
 * producer id and counts its sequences. With `together`=N, 1 or more, it holds N of them, each for a
 * partition of its own, and one request after the other, over all connections, the next N partitions. A fetch (v12, no session) asks for one batch of the same
 * size, one after the other through the `batches` of its partition, and round again. Every answer is
 * checked: an error, or other bytes than asked for, ends the run.
 *
 * One line of JSON: requests and bytes of records behind the warm-up, wall seconds, latencies in
 * microseconds, and the CPU seconds that process `pid` spent meanwhile, threads included.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crc32c.h"
#include "wire.h"

#define CONNECTIONS_MAX 128
#define DEPTH_MAX 1024
#define HEAD_BYTES 192      /* of an answer: all that is looked at, up to its first partition's end */
#define DONE_BYTES 33       /* of a partition in the answer of a produce, when all is well */
#define TOGETHER_MAX 10000
#define SMALL_BYTES 4096    /* frames up to here are sent many at once */
#define READ_BYTES (1 << 18)

#define CHECK(condition, what)                                                  \
    do {                                                                        \
        if (!(condition)) {                                                     \
            fprintf(stderr, "load, line %d: %s: %m\n", __LINE__, what);         \
            exit(1);                                                            \
        }                                                                       \
    } while (0)

static struct { const char *name; long value; } options[] = {
    {"partitions", 4}, {"connections", 4},  {"depth", 5},   {"batch_bytes", 16384},
    {"record_bytes", 1024}, {"requests", 1000}, {"warm", 100}, {"pid", 0},
    {"batches", 1}, {"idempotent", 0}, {"together", 0},
};

static long option(const char *name) {
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (!strcmp(options[i].name, name)) return options[i].value;
    abort();
}

typedef enum { PRODUCE, FETCH, VERSIONS } Mode;

typedef struct {
    int fd, writing, index;
    uint8_t *frame, *batch; /* a request, without gaps; the batch in it */
    size_t frame_bytes;
    uint8_t *burst;         /* copies of a small request, when those are sent many at once */
    size_t sending, sent;   /* bytes of the burst or the frame, of them sent */
    long share;             /* of all requests */
    long asked, answered;
    double asked_at[DEPTH_MAX];
    uint8_t *head;
    size_t head_bytes;      /* of the answer that is arriving: in `head`, and behind it */
    size_t left;
} Connection;

static Connection connections[CONNECTIONS_MAX];
static Mode mode;
static const char *topic;
static long depth, total, batches, batch_records, idempotent, partitions, together, count;
static size_t batch_bytes, head_room;
static size_t offset_at; /* of the fetch offset in a frame */
static size_t index_at, index_step; /* of the first partition's number in a produce; to the next */
static int epoll_fd;

static double now(clockid_t clock) {
    struct timespec t;
    CHECK(!clock_gettime(clock, &t), "clock_gettime");
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* ---- requests */

static int varint_size(int32_t v) {
    uint8_t unused[5];
    return store_varint32(unused, v);
}

/* One batch of `size` bytes, or a few less, of records of about `record_bytes`; its true size. */
static size_t make_batch(uint8_t *out, size_t size, long record_bytes) {
    long count = (long)(size - 61) / record_bytes;
    if (count < 1) count = 1;
    uint8_t *p = out + 61;
    uint64_t noise = 88172645463325252ull;
    for (long i = 0; i < count; i++) {
        long space = (long)(out + size - p) / (count - i);
        int32_t value = (int32_t)space, body;
        do { /* the longest value that fits */
            value--;
            body = 4 + varint_size((int32_t)i) + varint_size(value) + value;
        } while (varint_size(body) + body > space);
        CHECK(value >= 0, "a batch with room for a record");
        p += store_varint32(p, body);
        *p++ = 0; /* attributes */
        *p++ = 0; /* timestamp delta */
        p += store_varint32(p, (int32_t)i);
        *p++ = 1; /* no key */
        p += store_varint32(p, value);
        for (int32_t n = 0; n < value; n++) {
            noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
            *p++ = (uint8_t)noise;
        }
        *p++ = 0; /* no headers */
    }
    batch_records = count;
    size = p - out;
    memset(out, 0, 61);
    store_u32(out + 8, (uint32_t)size - 12);
    store_u32(out + 12, -1);
    out[16] = 2;
    store_u32(out + 23, (uint32_t)count - 1);
    uint64_t ms = (uint64_t)(now(CLOCK_REALTIME) * 1000);
    store_u64(out + 27, ms);
    store_u64(out + 35, ms);
    memset(out + 43, 0xff, 14); /* no producer */
    store_u32(out + 57, (uint32_t)count);
    store_u32(out + 17, crc32c(out + 21, size - 21));
    return size;
}

static uint8_t *put_name(uint8_t *p, long partitions_in_it) {
    size_t length = strlen(topic);
    *p++ = 2; /* one topic */
    p += store_uvarint32(p, (uint32_t)length + 1);
    memcpy(p, topic, length);
    p += length;
    return p + store_uvarint32(p, (uint32_t)partitions_in_it + 1);
}

static uint8_t *put_header(uint8_t *p, int key, int version) {
    store_u16(p + 4, key);
    store_u16(p + 6, version);
    store_u16(p + 12, 4);
    memcpy(p + 14, "load", 4);
    p[18] = 0;
    return p + (key == 18 ? 18 : 19);
}

static void make_request(Connection *c, int partition) {
    long in_it = together ? together : 1;
    uint8_t *p = c->frame = malloc((batch_bytes + 16) * in_it + 4096);
    if (mode == VERSIONS) p = put_header(p, 18, 0);
    if (mode == PRODUCE) {
        p = put_header(p, 0, 9);
        *p++ = 0;                 /* no transaction */
        store_u16(p, -1);         /* acks=all */
        store_u32(p + 2, 30000);
        p = put_name(p + 6, in_it);
        index_at = p - c->frame;
        for (long i = 0; i < in_it; i++) {
            index_step = p - c->frame - index_at; /* what it comes to with the last but one, over i */
            store_u32(p, partition);
            p += 4;
            p += store_uvarint32(p, (uint32_t)batch_bytes + 1);
            c->batch = p;
            p += make_batch(p, batch_bytes, option("record_bytes"));
            *p++ = 0;             /* end of the partition */
        }
        if (in_it > 1) index_step /= in_it - 1;
        if (idempotent) {
            store_u64(c->batch + 43, (uint64_t)getpid() * CONNECTIONS_MAX + c->index);
            store_u16(c->batch + 51, 0);
        }
        memset(p, 0, 2);          /* ends of topic and request */
        p += 2;
    }
    if (mode == FETCH) {
        p = put_header(p, 1, 12);
        store_u32(p, -1);         /* a consumer */
        store_u32(p + 4, 1000);   /* max wait */
        store_u32(p + 8, 1);
        store_u32(p + 12, 50 << 20);
        p[16] = 0;
        store_u32(p + 17, 0);     /* no session */
        store_u32(p + 21, -1);
        p = put_name(p + 25, 1);
        store_u32(p, partition);
        store_u32(p + 4, -1);
        offset_at = p + 8 - c->frame;
        store_u32(p + 16, -1);
        store_u64(p + 20, -1);
        store_u32(p + 28, (uint32_t)batch_bytes);
        memset(p + 32, 0, 5);     /* ends of partition and topic; none forgotten, no rack; end */
        p[34] = 1;
        p[35] = 1;
        p += 37;
    }
    c->frame_bytes = p - c->frame;
    store_u32(c->frame, (uint32_t)c->frame_bytes - 4);
    if (c->frame_bytes <= SMALL_BYTES) c->burst = malloc(c->frame_bytes * depth);
}

static void number_request(Connection *c) {
    store_u32(c->frame + 8, (uint32_t)c->asked);
    if (mode == FETCH) store_u64(c->frame + offset_at, c->asked % batches * batch_records);
    if (c->batch && idempotent) {
        store_u32(c->batch + 53, (uint32_t)(c->asked * batch_records));
        store_u32(c->batch + 17, crc32c(c->batch + 21, batch_bytes - 21));
    }
    long first = (c->index + c->asked * count) * together;
    for (long i = 0; i < together; i++)
        store_u32(c->frame + index_at + i * index_step, (uint32_t)((first + i) % partitions));
    c->asked_at[c->asked++ % depth] = now(CLOCK_MONOTONIC);
}

static int may_ask(Connection *c) {
    return c->asked - c->answered < depth && c->asked < c->share;
}

static void ask(Connection *c) {
    for (;;) {
        if (c->sent == c->sending) {
            c->sent = c->sending = 0;
            if (!may_ask(c)) break;
            do {
                number_request(c);
                if (c->burst) memcpy(c->burst + c->sending, c->frame, c->frame_bytes);
                c->sending += c->frame_bytes;
            } while (c->burst && may_ask(c));
        }
        uint8_t *from = c->burst ? c->burst : c->frame;
        ssize_t sent = send(c->fd, from + c->sent, c->sending - c->sent, MSG_NOSIGNAL);
        if (sent < 0) {
            CHECK(errno == EAGAIN, "send");
            break;
        }
        c->sent += sent;
    }
    int writing = c->sent < c->sending;
    if (writing == c->writing) return;
    c->writing = writing;
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

/* ---- answers */

static float *latencies; /* seconds, of the requests behind the warm-up */
static long answered_all, warm;
static double bytes_all, begun_at, begun_cpu, ended_at, ended_cpu;
static clockid_t served_by;

static uint8_t *past_name(uint8_t *p) {
    uint32_t length = 0;
    p += 1 + load_uvarint32(p + 1, p + 6, &length); /* the count of topics is before it */
    p += length - 1;
    return p + load_uvarint32(p, p + 5, &length); /* the count of partitions is behind the name */
}

static void fail(const char *what, int code) {
    fprintf(stderr, "load: %s answered with %s %d\n",
            mode == FETCH ? "a fetch was" : "a request was", what, code);
    exit(1);
}

/* Bytes of records that the answer stands for. */
static double check_answer(Connection *c) {
    uint8_t *p = c->head + 4;
    uint32_t size = 0, aborted;
    if (load_u32(p) != (uint32_t)c->answered) fail("correlation id", load_u32(p));
    if (mode == VERSIONS) return 0;
    if (mode == PRODUCE) {
        p = past_name(p + 5);
        long in_it = together ? together : 1;
        for (long i = 0; i < in_it; i++, p += DONE_BYTES)
            if (load_u16(p + 4)) fail("error", load_u16(p + 4));
        return batch_bytes * in_it;
    }
    if (load_u16(p + 9)) fail("error", load_u16(p + 9));
    p = past_name(p + 15);
    if (load_u16(p + 4)) fail("error", load_u16(p + 4));
    p += 30;
    p += load_uvarint32(p, p + 5, &aborted);
    load_uvarint32(p + 4, p + 9, &size);
    if (size != batch_bytes + 1) fail("another number of bytes:", (int)size - 1);
    return batch_bytes;
}

static void answered(Connection *c, double at) {
    bytes_all += check_answer(c);
    if (++answered_all > warm)
        latencies[answered_all - warm - 1] = (float)(at - c->asked_at[c->answered % depth]);
    c->answered++;
    c->head_bytes = 0;
    if (answered_all == warm) {
        bytes_all = 0;
        begun_at = at;
        begun_cpu = now(served_by);
    }
    if (answered_all == total) {
        ended_at = at;
        ended_cpu = now(served_by);
    }
}

static void readable(Connection *c) {
    static uint8_t data[READ_BYTES];
    ssize_t got = recv(c->fd, data, sizeof data, 0);
    if (got < 0 && errno == EAGAIN) return;
    CHECK(got > 0, "the server closed the connection");
    double at = now(CLOCK_MONOTONIC);
    uint8_t *p = data, *end = data + got;
    while (p < end) {
        if (c->head_bytes < 4) {
            c->head[c->head_bytes++] = *p++;
            if (c->head_bytes == 4) c->left = load_u32(c->head);
            continue;
        }
        size_t take = (size_t)(end - p) < c->left ? (size_t)(end - p) : c->left;
        size_t room = head_room - c->head_bytes, keep = room < take ? room : take;
        memcpy(c->head + c->head_bytes, p, keep);
        c->head_bytes += keep;
        p += take;
        c->left -= take;
        if (!c->left) answered(c, at);
    }
    ask(c);
}

/* ---- the run */

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(long count, double part) {
    long at = (long)(count * part);
    return latencies[at < count ? at : count - 1] * 1e6;
}

static void connect_to(Connection *c, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!connect(c->fd, (struct sockaddr *)&address, sizeof address), "connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    CHECK(!fcntl(c->fd, F_SETFL, O_NONBLOCK), "fcntl");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    CHECK(!epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event), "epoll_ctl");
}

static void read_options(int argc, char **argv) {
    for (int i = 4; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        int known = 0;
        for (size_t n = 0; equals && n < sizeof options / sizeof *options; n++)
            if (strlen(options[n].name) == (size_t)(equals - argv[i]) &&
                !strncmp(options[n].name, argv[i], equals - argv[i])) {
                options[n].value = atol(equals + 1);
                known = 1;
            }
        CHECK(known, argv[i]);
    }
}

int main(int argc, char **argv) {
    CHECK(argc >= 4, "load PORT produce|fetch|versions TOPIC [NAME=VALUE]...");
    mode = *argv[2] == 'p' ? PRODUCE : *argv[2] == 'f' ? FETCH : VERSIONS;
    topic = argv[3];
    read_options(argc, argv);
    long requests = option("requests");
    count = option("connections");
    partitions = option("partitions");
    together = option("together");
    head_room = HEAD_BYTES + DONE_BYTES * together;
    depth = option("depth");
    warm = option("warm");
    batches = option("batches");
    idempotent = option("idempotent");
    total = warm + requests;
    CHECK(count > 0 && count <= CONNECTIONS_MAX && depth > 0 && depth <= DEPTH_MAX, "options");
    CHECK(warm > 0 && requests > 0 && batches > 0 && strlen(topic) < 100, "options");
    CHECK(together >= 0 && together <= TOGETHER_MAX && together <= partitions, "options");
    CHECK(!together || !idempotent, "options"); /* sequences are of one partition */
    pid_t pid = (pid_t)option("pid");
    served_by = pid ? (clockid_t)(~(unsigned)pid << 3 | 2) : CLOCK_PROCESS_CPUTIME_ID;
    latencies = malloc(requests * sizeof *latencies);
    epoll_fd = epoll_create1(0);
    crc_prepare();
    uint8_t *sample = malloc(option("batch_bytes") + 64);
    batch_bytes = make_batch(sample, option("batch_bytes"), option("record_bytes"));
    for (long i = 0; i < count; i++) {
        connections[i].index = (int)i;
        connections[i].share = total / count + (i < total % count);
        connections[i].head = malloc(head_room);
        make_request(&connections[i], (int)(i % partitions));
        connect_to(&connections[i], atoi(argv[1]));
    }
    for (long i = 0; i < count; i++) ask(&connections[i]);
    while (answered_all < total) {
        struct epoll_event events[CONNECTIONS_MAX];
        int ready = epoll_wait(epoll_fd, events, CONNECTIONS_MAX, 60000);
        CHECK(ready > 0, "an answer within a minute");
        for (int i = 0; i < ready; i++) {
            if (events[i].events & EPOLLOUT) ask(events[i].data.ptr);
            if (events[i].events & ~EPOLLOUT) readable(events[i].data.ptr);
        }
    }
    qsort(latencies, requests, sizeof *latencies, by_size);
    printf("{\"requests\": %ld, \"bytes\": %.0f, \"batch_bytes\": %zu, \"batch_records\": %ld, "
           "\"seconds\": %.6f, \"cpu_s\": %.6f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
           requests, bytes_all, batch_bytes, batch_records, ended_at - begun_at,
           ended_cpu - begun_cpu, percentile(requests, 0.5), percentile(requests, 0.99),
           percentile(requests, 0.999), percentile(requests, 1.0));
}
