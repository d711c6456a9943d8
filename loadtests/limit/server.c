/* The least that a Kafka broker does to each request, in C: what our broker is measured against.
 *
 *   server PORT DIRECTORY PARTITIONS FLUSH COPY_BELOW
 *
 * One thread, epoll, non-blocking. It finds the one batch of a Produce (v9-12), checks its CRC-32C,
 * writes base offset and leader epoch into it, and pwrites it behind the others of its partition;
 * nothing else is looked at. FLUSH=1 is a broker's group commit: a second thread fdatasyncs
 * the partitions written since its last turn, and the answers leave when it is through; FLUSH=0
 * answers from the page cache. A Fetch (v12, one partition, no session) is answered with whole
 * batches, by sendfile from COPY_BELOW bytes upwards and by pread and one write below it. All
 * batches of one partition must have the same size. ApiVersions gets bytes of a usual length.
 *
 * It prints `ready` and serves until SIGTERM. There are no limits, timeouts or second chances:
 * whatever is unexpected ends it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crc32c.h"
#include "wire.h"

#define PARTITIONS_MAX 64
#define CONNECTIONS_MAX 256
#define IN_BYTES (4 << 20)     /* the largest frame, and room for small ones behind each other */
#define READ_BYTES (256 << 10) /* read at once where frames are smaller */
#define OUT_BYTES (16 << 20)
#define FILES_MAX 64           /* file ranges queued on one connection */
#define API_VERSIONS_BYTES 560

enum { PRODUCE = 0, FETCH = 1, API_VERSIONS = 18 };

#define CHECK(condition, what)                                                  \
    do {                                                                        \
        if (!(condition)) {                                                     \
            fprintf(stderr, "%s:%d: %s: %m\n", __FILE__, __LINE__, what);       \
            exit(1);                                                            \
        }                                                                       \
    } while (0)

typedef struct {
    int fd, dirty;
    int64_t size, end_offset;
    int64_t batch_bytes, batch_records; /* of every batch in it */
} Partition;

typedef struct { /* a file range that is sent when `out_sent` has reached `behind` */
    int fd;
    size_t behind;
    off_t offset;
    size_t left;
} FileRange;

typedef struct {
    int fd, writing;
    uint8_t *in;
    size_t start, end;
    uint8_t *out; /* [out_sent, out_ready) may leave, [.., out_flushing) when the flush is over */
    size_t out_sent, out_ready, out_flushing, out_end;
    FileRange files[FILES_MAX];
    int file_first, file_end;
} Connection;

static Partition partitions[PARTITIONS_MAX];
static Connection *connections[CONNECTIONS_MAX];
static int partition_count, connection_count, epoll_fd, flush_enabled, dirty_any;
static size_t copy_below;

/* ---- flushing: the second thread syncs what the first one names, one group at a time */

static int flush_fds[PARTITIONS_MAX], flush_count, flush_running, flushed_event;
static pthread_mutex_t flush_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t flush_wanted = PTHREAD_COND_INITIALIZER;

static void *flush_thread(void *unused) {
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&flush_lock);
        while (!flush_count) pthread_cond_wait(&flush_wanted, &flush_lock);
        pthread_mutex_unlock(&flush_lock);
        for (int i = 0; i < flush_count; i++) CHECK(!fdatasync(flush_fds[i]), "fdatasync");
        flush_count = 0;
        uint64_t one = 1;
        CHECK(write(flushed_event, &one, 8) == 8, "eventfd");
    }
}

static void start_flush(void) {
    int count = 0;
    for (int i = 0; i < partition_count; i++)
        if (partitions[i].dirty) {
            flush_fds[count++] = partitions[i].fd;
            partitions[i].dirty = 0;
        }
    dirty_any = 0;
    for (int i = 0; i < connection_count; i++) {
        Connection *c = connections[i];
        if (c) c->out_flushing = c->out_end;
    }
    flush_running = 1;
    pthread_mutex_lock(&flush_lock);
    flush_count = count;
    pthread_cond_signal(&flush_wanted);
    pthread_mutex_unlock(&flush_lock);
}

/* ---- out */

static void drop(Connection *c) {
    close(c->fd);
    for (int i = 0; i < connection_count; i++)
        if (connections[i] == c) connections[i] = NULL;
    free(c->in);
    free(c->out);
    free(c);
}

static void want_write(Connection *c, int wanted) {
    if (c->writing == wanted) return;
    c->writing = wanted;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = c};
    CHECK(!epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event), "epoll_ctl");
}

static void send_out(Connection *c) {
    while (c->out_sent < c->out_ready || c->file_first < c->file_end) {
        FileRange *file = c->file_first < c->file_end ? &c->files[c->file_first] : NULL;
        size_t until = file ? file->behind : c->out_ready;
        ssize_t sent;
        if (c->out_sent < until) {
            sent = send(c->fd, c->out + c->out_sent, until - c->out_sent,
                        MSG_NOSIGNAL | (file ? MSG_MORE : 0));
            if (sent > 0) c->out_sent += sent;
        } else {
            sent = sendfile(c->fd, file->fd, &file->offset, file->left);
            CHECK(sent != 0, "sendfile found the file's end");
            if (sent > 0 && !(file->left -= sent)) c->file_first++;
        }
        if (sent < 0) {
            CHECK(errno == EAGAIN, "send");
            want_write(c, 1);
            return;
        }
    }
    want_write(c, 0);
    c->file_first = c->file_end = 0;
    if (c->out_sent == c->out_end) c->out_sent = c->out_ready = c->out_flushing = c->out_end = 0;
}

static void flush_ended(void) {
    flush_running = 0;
    for (int i = 0; i < connection_count; i++) {
        Connection *c = connections[i];
        if (c && c->out_ready < c->out_flushing) {
            c->out_ready = c->out_flushing;
            send_out(c);
        }
    }
    if (dirty_any) start_flush();
}

static uint8_t *room(Connection *c, size_t size) {
    if (c->out_end + size > OUT_BYTES && c->out_sent) {
        CHECK(c->file_first == c->file_end, "file ranges in a full buffer");
        memmove(c->out, c->out + c->out_sent, c->out_end - c->out_sent);
        c->out_ready -= c->out_sent;
        c->out_flushing -= c->out_sent < c->out_flushing ? c->out_sent : c->out_flushing;
        c->out_end -= c->out_sent;
        c->out_sent = 0;
    }
    CHECK(c->out_end + size <= OUT_BYTES, "too many unread answers");
    return c->out + c->out_end;
}

static void finish(Connection *c, uint8_t *frame, uint8_t *end, size_t extra) {
    store_u32(frame, (uint32_t)(end - frame - 4 + extra));
    c->out_end = end - c->out;
}

/* ---- requests */

/* Past a compact string or bytes; `p` stands before its length. */
static uint8_t *past(uint8_t *p, const uint8_t *end, uint8_t **data, uint32_t *size) {
    uint32_t length;
    int n = load_uvarint32(p, end, &length);
    CHECK(n > 0, "a length");
    *size = length ? length - 1 : 0;
    *data = p + n;
    CHECK(p + n + *size <= end, "bytes behind a frame");
    return p + n + *size;
}

static Partition *partition_at(uint8_t *p) {
    uint32_t index = load_u32(p);
    CHECK(index < (uint32_t)partition_count, "a partition");
    return &partitions[index];
}

/* Compact array of one: the length must be 1. */
static uint8_t *past_one(uint8_t *p) {
    CHECK(*p == 2, "exactly one topic and one partition are served");
    return p + 1;
}

static uint8_t *begin_answer(Connection *c, size_t size, uint32_t correlation, uint8_t **frame) {
    uint8_t *p = *frame = room(c, size);
    store_u32(p + 4, correlation);
    p[8] = 0;
    return p + 9;
}

static uint8_t *put_topic(uint8_t *p, uint8_t *name, uint32_t name_size, uint32_t index) {
    *p++ = 2;
    p += store_uvarint32(p, name_size + 1);
    memcpy(p, name, name_size);
    p += name_size;
    *p++ = 2;
    store_u32(p, index);
    store_u16(p + 4, 0); /* no error */
    return p + 6;
}

static void produce(Connection *c, uint32_t correlation, uint8_t *p, const uint8_t *end) {
    uint8_t *name, *batch, *frame;
    uint32_t name_size, size;
    p = past(p, end, &name, &size); /* transactional id */
    p = past(past_one(p + 6), end, &name, &name_size); /* behind acks and timeout */
    p = past_one(p);
    Partition *partition = partition_at(p);
    uint32_t index = load_u32(p);
    past(p + 4, end, &batch, &size);
    CHECK(size >= 61 && load_u32(batch + 8) + 12 == size, "one whole batch");
    CHECK(crc32c(batch + 21, size - 21) == load_u32(batch + 17), "the CRC");
    int64_t records = (int32_t)load_u32(batch + 57), first = partition->end_offset;
    if (!partition->size) {
        partition->batch_bytes = size;
        partition->batch_records = records;
    }
    store_u64(batch, first);
    store_u32(batch + 12, 0);
    CHECK(pwrite(partition->fd, batch, size, partition->size) == size, "pwrite");
    partition->size += size;
    partition->end_offset += records;

    p = begin_answer(c, name_size + 96, correlation, &frame);
    p = put_topic(p, name, name_size, index);
    store_u64(p, first);
    store_u64(p + 8, -1); /* append time */
    store_u64(p + 16, 0); /* log start offset */
    p += 24;
    *p++ = 1;             /* no record errors, no error message, three ends */
    memset(p, 0, 4 + 4);  /* and throttle time, with the last end behind it */
    p += 8;
    finish(c, frame, p, 0);
    if (flush_enabled) partition->dirty = dirty_any = 1;
    else c->out_ready = c->out_flushing = c->out_end;
}

static void fetch(Connection *c, uint32_t correlation, uint8_t *p, const uint8_t *end) {
    uint8_t *name, *frame;
    uint32_t name_size;
    p = past(past_one(p + 25), end, &name, &name_size);
    p = past_one(p);
    Partition *partition = partition_at(p);
    uint32_t index = load_u32(p);
    int64_t offset = load_u64(p + 8), size = (int32_t)load_u32(p + 28), left;
    CHECK(partition->batch_bytes && offset < partition->end_offset, "an offset in the log");
    off_t position = offset / partition->batch_records * partition->batch_bytes;
    left = partition->size - position;
    size -= size % partition->batch_bytes;
    if (size < partition->batch_bytes) size = partition->batch_bytes;
    if (size > left) size = left;
    int copied = (size_t)size < copy_below;

    p = begin_answer(c, name_size + 96 + (copied ? size : 0), correlation, &frame);
    memset(p, 0, 10); /* throttle time, error, session */
    p = put_topic(p + 10, name, name_size, index);
    store_u64(p, partition->end_offset); /* high watermark, last stable offset, log start */
    store_u64(p + 8, partition->end_offset);
    store_u64(p + 16, 0);
    p[24] = 0;                /* no aborted transactions */
    store_u32(p + 25, -1);    /* no preferred replica */
    p += 29;
    p += store_uvarint32(p, size + 1);
    if (copied) {
        CHECK(pread(partition->fd, p, size, position) == size, "pread");
        p += size;
    } else {
        CHECK(c->file_end < FILES_MAX, "too many unread answers");
        c->files[c->file_end++] =
            (FileRange){partition->fd, (size_t)(p - c->out), position, (size_t)size};
    }
    memset(p, 0, 3);
    finish(c, frame, p + 3, copied ? 0 : size);
    c->out_ready = c->out_flushing = c->out_end;
}

static void answer(Connection *c, uint8_t *p, const uint8_t *end) {
    uint8_t *frame;
    int key = load_u16(p);
    uint32_t correlation = load_u32(p + 4);
    p += 8;
    p += 2 + load_u16(p); /* client id */
    if (key == PRODUCE) produce(c, correlation, p + 1, end);
    else if (key == FETCH) fetch(c, correlation, p + 1, end);
    else {
        CHECK(key == API_VERSIONS, "an API that is served");
        p = begin_answer(c, API_VERSIONS_BYTES, correlation, &frame);
        finish(c, frame, frame + API_VERSIONS_BYTES, 0);
        c->out_ready = c->out_flushing = c->out_end;
    }
}

static void readable(Connection *c) {
    /* A frame larger than what is read at once is read to its end and no further, so that the next
     * one begins at the buffer's beginning again, and its memory is still in the cache. */
    size_t waiting = c->end - c->start, wanted = READ_BYTES;
    if (waiting >= 4 && load_u32(c->in + c->start) + 4 > READ_BYTES)
        wanted = load_u32(c->in + c->start) + 4 - waiting;
    if (c->start && (c->start + waiting + wanted > IN_BYTES || waiting < 4096)) {
        memmove(c->in, c->in + c->start, waiting);
        c->start = 0;
        c->end = waiting;
    }
    CHECK(c->end + wanted <= IN_BYTES, "a frame that is too large");
    ssize_t got = recv(c->fd, c->in + c->end, wanted, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        drop(c);
        return;
    }
    c->end += got;
    while (c->end - c->start >= 4) {
        size_t size = load_u32(c->in + c->start) + 4;
        if (c->end - c->start < size) break;
        answer(c, c->in + c->start + 4, c->in + c->start + size);
        c->start += size;
    }
    if (c->start == c->end) c->start = c->end = 0;
    if (c->out_sent < c->out_ready && !c->writing) send_out(c);
}

/* ---- the loop */

static void accepted(int fd) {
    int one = 1;
    CHECK(connection_count < CONNECTIONS_MAX, "too many connections");
    Connection *c = calloc(1, sizeof *c);
    c->fd = fd;
    c->in = malloc(IN_BYTES);
    c->out = malloc(OUT_BYTES);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections[connection_count++] = c;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    CHECK(!epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

int main(int argc, char **argv) {
    CHECK(argc == 6, "server PORT DIRECTORY PARTITIONS FLUSH COPY_BELOW");
    static int listening, flushed; /* their addresses mark their events */
    int one = 1;
    partition_count = atoi(argv[3]);
    flush_enabled = atoi(argv[4]);
    copy_below = atol(argv[5]);
    CHECK(partition_count <= PARTITIONS_MAX, "too many partitions");
    crc_prepare();
    for (int i = 0; i < partition_count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%d.log", argv[2], i);
        partitions[i].fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
        CHECK(partitions[i].fd >= 0, path);
    }
    epoll_fd = epoll_create1(0);
    flushed_event = eventfd(0, 0);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    CHECK(!bind(listening, (struct sockaddr *)&address, sizeof address), "bind");
    CHECK(!listen(listening, 64), "listen");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listening};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listening, &event);
    event.data.ptr = &flushed;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, flushed_event, &event);
    pthread_t thread;
    if (flush_enabled) CHECK(!pthread_create(&thread, NULL, flush_thread, NULL), "a thread");
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll_fd, events, 64, -1);
        CHECK(count >= 0 || errno == EINTR, "epoll_wait");
        for (int i = 0; i < count; i++) {
            void *what = events[i].data.ptr;
            uint64_t ignored;
            if (what == &listening) accepted(accept4(listening, NULL, NULL, SOCK_NONBLOCK));
            else if (what == &flushed) {
                CHECK(read(flushed_event, &ignored, 8) == 8, "eventfd");
                flush_ended();
            } else {
                Connection *c = what;
                if (events[i].events & EPOLLOUT) send_out(c);
                if (events[i].events & ~EPOLLOUT) readable(c);
            }
        }
        if (dirty_any && !flush_running) start_flush();
    }
}
