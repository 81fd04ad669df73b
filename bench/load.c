/* A closed loop of load on a Kyoto Tycoon, Tokyo Tyrant or Redis server: each connection has one request under way.
 * What stands for a protocol may also be a procedure of `scripts.lua`, which a Kyoto Tycoon runs: its calls are then
 * the gets.
 *
 *   load kt|tyrant|redis HOST:PORT|/PATH CONNECTIONS FIRST LAST
 *       stores every key from number FIRST to LAST - 1 once
 *   load kt|tyrant|redis HOST:PORT|/PATH CONNECTIONS FIRST LAST GET_PERCENT SECONDS
 *       gets and sets random ones of these keys for so long, after a moment to warm up
 *
 * Prints one JSON object: operations, seconds, percentiles of the latency in microseconds, misses, errors.
 * A reply must be what the server has to answer, to the last byte. A connection that is answered otherwise, closed,
 * or left without an answer counts as an error and is not used again.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    KEY_SIZE = 20,
    VALUE_SIZE = 200,
    LIFETIME = 86400,    /* seconds */
    ROOM = 512,          /* for one request, and for one reply with some bytes too many */
    WARM_UP = 200000000, /* nanoseconds: the first requests of a connection also wait until it is accepted */
    PATIENCE = 5000,     /* milliseconds without any reply at all */
    SLOWEST = 1 << 20,   /* microseconds: the last column of the histogram, which counts all above, too */
    EVENTS = 256,
};

typedef struct {
    size_t size;
    unsigned char bytes[ROOM];
} Message;

/* What a protocol says. Of a hit, `hole_size` bytes from `hole` on are the server's to choose. */
typedef struct {
    const char *name;
    void (*get)(Message *, const char *key);
    void (*set)(Message *, const char *key);
    void (*hit)(Message *, const char *key);
    Message missing, stored;
    size_t hole, hole_size;
} Protocol;

typedef struct {
    int fd;
    bool is_get;
    uint64_t key, sent_at;
    Message reply; /* as much of it as has come */
} Connection;

typedef enum { PARTIAL, HIT, MISS, WRONG } Verdict;

static const Protocol *protocol;
static int poller;
static uint64_t first, last, next;  /* keys */
static int get_percent = -1;        /* negative: store each key once */
static uint64_t counts_from, ends;  /* nanoseconds on the clock */
static uint64_t operations, misses, errors;
static uint32_t histogram[SLOWEST]; /* replies by microseconds */

/* --- Messages */

static void put(Message *message, const void *bytes, size_t size) {
    memcpy(message->bytes + message->size, bytes, size);
    message->size += size;
}

static void put_text(Message *message, const char *text) { put(message, text, strlen(text)); }

/* An integer of `size` bytes, the most significant first. */
static void put_integer(Message *message, uint64_t number, size_t size) {
    number = htobe64(number);
    put(message, (unsigned char *)&number + sizeof number - size, size);
}

/* The value of a key begins with it, so that one key's is not taken for another's. */
static void put_value(Message *message, const char *key) {
    put(message, key, KEY_SIZE);
    memset(message->bytes + message->size, 'x', VALUE_SIZE - KEY_SIZE);
    message->size += VALUE_SIZE - KEY_SIZE;
}

static void kt_get(Message *message, const char *key) {
    put(message, "\xBA\0\0\0\0\0\0\0\1\0\0", 11); /* get_bulk, no flags, one record, database 0 */
    put_integer(message, KEY_SIZE, 4);
    put(message, key, KEY_SIZE);
}

static void kt_record(Message *message, const char *key, uint64_t expiry) {
    put(message, "\0\0", 2); /* database 0 */
    put_integer(message, KEY_SIZE, 4);
    put_integer(message, VALUE_SIZE, 4);
    put_integer(message, expiry, 8);
    put(message, key, KEY_SIZE);
    put_value(message, key);
}

static void kt_set(Message *message, const char *key) {
    put(message, "\xB8\0\0\0\0\0\0\0\1", 9); /* set_bulk, no flags, one record */
    kt_record(message, key, LIFETIME);
}

static void kt_hit(Message *message, const char *key) {
    put(message, "\xBA\0\0\0\1", 5);
    kt_record(message, key, 0);
}

/* What all pairs of a call and of its reply have before their bytes. */
static void put_pair(Message *message, const char *name, size_t size) {
    put_integer(message, strlen(name), 4);
    put_integer(message, size, 4);
    put_text(message, name);
}

static void put_call(Message *message, const char *procedure, const char *key, bool with_value) {
    put(message, "\xB4\0\0\0\0", 5); /* play_script, no flags */
    put_integer(message, strlen(procedure), 4);
    put_integer(message, with_value ? 2 : 1, 4);
    put_text(message, procedure);
    put_pair(message, "key", KEY_SIZE);
    put(message, key, KEY_SIZE);
    if (with_value) {
        put_pair(message, "value", VALUE_SIZE);
        put_value(message, key);
    }
}

static void call_get(Message *message, const char *key) { put_call(message, "get", key, false); }

static void call_increment(Message *message, const char *key) { put_call(message, "increment", key, false); }

static void call_echo(Message *message, const char *key) { put_call(message, "echo", key, true); }

static void call_accept(Message *message, const char *key) { put_call(message, "accept", key, false); }

static void get_gave(Message *message, const char *key) {
    put(message, "\xB4\0\0\0\1", 5);
    put_pair(message, "value", VALUE_SIZE);
    put_value(message, key);
}

static void increment_gave(Message *message, const char *key) {
    (void)key;
    put(message, "\xB4\0\0\0\1", 5);
    put_pair(message, "total", 10);
    put_text(message, "1000000000"); /* the hole: any total has as many digits */
}

static void echo_gave(Message *message, const char *key) {
    put(message, "\xB4\0\0\0\2", 5);
    put_pair(message, "key", KEY_SIZE);
    put(message, key, KEY_SIZE);
    put_pair(message, "value", VALUE_SIZE);
    put_value(message, key);
}

static void accept_gave(Message *message, const char *key) {
    (void)key;
    put(message, "\xB4\0\0\0\1", 5);
    put_pair(message, "size", 3);
    put_text(message, "200");
}

static void tyrant_get(Message *message, const char *key) {
    put(message, "\xC8\x30", 2);
    put_integer(message, KEY_SIZE, 4);
    put(message, key, KEY_SIZE);
}

static void tyrant_set(Message *message, const char *key) {
    put(message, "\xC8\x10", 2);
    put_integer(message, KEY_SIZE, 4);
    put_integer(message, VALUE_SIZE, 4);
    put(message, key, KEY_SIZE);
    put_value(message, key);
}

static void tyrant_hit(Message *message, const char *key) {
    put(message, "\0", 1);
    put_integer(message, VALUE_SIZE, 4);
    put_value(message, key);
}

static void redis_get(Message *message, const char *key) {
    put_text(message, "*2\r\n$3\r\nGET\r\n$20\r\n");
    put(message, key, KEY_SIZE);
    put_text(message, "\r\n");
}

static void redis_set(Message *message, const char *key) {
    put_text(message, "*5\r\n$3\r\nSET\r\n$20\r\n");
    put(message, key, KEY_SIZE);
    put_text(message, "\r\n$200\r\n");
    put_value(message, key);
    put_text(message, "\r\n$2\r\nEX\r\n$5\r\n86400\r\n");
}

static void redis_hit(Message *message, const char *key) {
    put_text(message, "$200\r\n");
    put_value(message, key);
    put_text(message, "\r\n");
}

#define STORED {5, "\xB8\0\0\0\1"}
#define NOTHING_GIVEN {5, "\xB4\0\0\0\0"}

static const Protocol PROTOCOLS[] = {
    {"kt", kt_get, kt_set, kt_hit, {5, "\xBA\0\0\0\0"}, STORED, .hole = 15, .hole_size = 8},
    {"get", call_get, kt_set, get_gave, NOTHING_GIVEN, STORED, .hole = 0, .hole_size = 0},
    {"increment", call_increment, kt_set, increment_gave, NOTHING_GIVEN, STORED, .hole = 18, .hole_size = 10},
    {"echo", call_echo, kt_set, echo_gave, NOTHING_GIVEN, STORED, .hole = 0, .hole_size = 0},
    {"accept", call_accept, kt_set, accept_gave, NOTHING_GIVEN, STORED, .hole = 0, .hole_size = 0},
    {"tyrant", tyrant_get, tyrant_set, tyrant_hit, {1, "\1"}, {1, "\0"}, .hole = 0, .hole_size = 0},
    {"redis", redis_get, redis_set, redis_hit, {5, "$-1\r\n"}, {5, "+OK\r\n"}, .hole = 0, .hole_size = 0},
};

/* A key's name: scattered, so that no server is filled in the order of its keys. */
static void name_key(char name[KEY_SIZE + 1], uint64_t number) {
    snprintf(name, KEY_SIZE + 1, "key:%016llx", (unsigned long long)(number * 0x9E3779B97F4A7C15u));
}

/* --- One connection */

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Equal in every run: all servers are asked the same. */
static uint64_t random_number(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int connect_to(const char *address) {
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in host = {.sin_family = AF_INET};
    bool local = address[0] == '/';
    if (local) {
        snprintf(path.sun_path, sizeof path.sun_path, "%s", address);
    } else {
        char name[64];
        unsigned port;
        if (sscanf(address, "%63[^:]:%u", name, &port) != 2 || inet_pton(AF_INET, name, &host.sin_addr) != 1) {
            fprintf(stderr, "%s is neither HOST:PORT, by its number, nor a path\n", address);
            exit(2);
        }
        host.sin_port = htons((uint16_t)port);
    }
    int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    const struct sockaddr *peer = local ? (void *)&path : (void *)&host;
    if (fd < 0 || connect(fd, peer, local ? sizeof path : sizeof host) < 0)
        die(address);
    if (!local)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

/* Send the next request; false when there is none left. */
static bool ask(Connection *connection) {
    bool storing = get_percent < 0;
    uint64_t time = now();
    if (storing ? next == last : time >= ends)
        return false;
    connection->key = storing ? next++ : first + random_number() % (last - first);
    connection->is_get = !storing && (int)(random_number() % 100) < get_percent;
    connection->reply.size = 0;
    connection->sent_at = time;
    char key[KEY_SIZE + 1];
    name_key(key, connection->key);
    Message request;
    request.size = 0;
    (connection->is_get ? protocol->get : protocol->set)(&request, key);
    /* A request is smaller than any socket's buffer. When it cannot be sent, the reply will not come either. */
    (void)!send(connection->fd, request.bytes, request.size, MSG_NOSIGNAL);
    return true;
}

/* Whether the bytes are the expected ones, or the beginning of them, but for the hole. */
static Verdict compare(const Message *got, const Message *expected, size_t hole, size_t hole_size, Verdict whole) {
    size_t size = got->size, before = size < hole ? size : hole, behind = hole + hole_size;
    if (size > expected->size || memcmp(got->bytes, expected->bytes, before) != 0)
        return WRONG;
    if (size > behind && memcmp(got->bytes + behind, expected->bytes + behind, size - behind) != 0)
        return WRONG;
    return size == expected->size ? whole : PARTIAL;
}

static Verdict judge(const Connection *connection) {
    const Message *reply = &connection->reply;
    if (!connection->is_get)
        return compare(reply, &protocol->stored, 0, 0, HIT);
    Verdict missing = compare(reply, &protocol->missing, 0, 0, MISS);
    if (missing != WRONG)
        return missing;
    char key[KEY_SIZE + 1];
    name_key(key, connection->key);
    Message hit;
    hit.size = 0;
    protocol->hit(&hit, key);
    return compare(reply, &hit, protocol->hole, protocol->hole_size, HIT);
}

static void record(const Connection *connection, bool missed) {
    uint64_t time = now();
    if (time < counts_from || time >= ends)
        return;
    uint64_t latency = (time - connection->sent_at) / 1000;
    histogram[latency < SLOWEST ? latency : SLOWEST - 1]++;
    operations++;
    misses += missed;
}

/* Take what has come; false when the connection has nothing more to wait for. */
static bool take(Connection *connection) {
    Message *reply = &connection->reply;
    ssize_t got = recv(connection->fd, reply->bytes + reply->size, ROOM - reply->size, 0);
    reply->size += got > 0 ? (size_t)got : 0;
    Verdict verdict = got > 0 ? judge(connection) : WRONG;
    if (verdict == PARTIAL)
        return true;
    if (verdict == WRONG) {
        errors++;
        close(connection->fd);
        return false;
    }
    record(connection, verdict == MISS);
    return ask(connection);
}

/* --- All of them */

static void run(Connection *connections, int count) {
    int waiting = 0;
    for (int i = 0; i < count; i++)
        waiting += ask(&connections[i]);
    while (waiting) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poller, events, EVENTS, PATIENCE);
        if (ready < 0)
            die("epoll_wait");
        if (ready == 0) {
            errors += (uint64_t)waiting;
            return;
        }
        for (int i = 0; i < ready; i++)
            waiting -= !take(events[i].data.ptr);
    }
}

/* The latency in microseconds that this share of the replies did not exceed. */
static uint64_t percentile(double share) {
    uint64_t seen = 0, wanted = (uint64_t)(share * (double)operations);
    for (uint64_t latency = 0; latency < SLOWEST; latency++)
        if ((seen += histogram[latency]) > wanted)
            return latency;
    return 0;
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof PROTOCOLS / sizeof *PROTOCOLS; i++)
        if (strcmp(argv[1], PROTOCOLS[i].name) == 0)
            protocol = &PROTOCOLS[i];
    if (!protocol || (argc != 6 && argc != 8)) {
        fprintf(stderr, "usage: load kt|tyrant|redis HOST:PORT|/PATH CONNECTIONS FIRST LAST [GET_PERCENT SECONDS]\n");
        return 2;
    }
    int count = atoi(argv[3]);
    first = next = strtoull(argv[4], NULL, 10);
    last = strtoull(argv[5], NULL, 10);
    if (count < 1 || first >= last) {
        fprintf(stderr, "there must be a connection and a key\n");
        return 2;
    }
    poller = epoll_create1(0);
    Connection *connections = calloc((size_t)count, sizeof *connections);
    for (int i = 0; i < count; i++) {
        connections[i].fd = connect_to(argv[2]);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].fd, &event) < 0)
            die("epoll_ctl");
    }
    uint64_t began = now();
    ends = UINT64_MAX;
    if (argc == 8) {
        get_percent = atoi(argv[6]);
        began = counts_from = began + WARM_UP;
        ends = counts_from + (uint64_t)(atof(argv[7]) * 1e9);
    }
    run(connections, count);
    uint64_t stopped = now() < ends ? now() : ends;
    double seconds = stopped > began ? (double)(stopped - began) / 1e9 : 0;
    printf("{\"operations\": %llu, \"seconds\": %.6f, \"p50\": %llu, \"p99\": %llu, \"p999\": %llu, \"misses\": %llu, "
           "\"errors\": %llu}\n",
           (unsigned long long)operations, seconds, (unsigned long long)percentile(0.50),
           (unsigned long long)percentile(0.99), (unsigned long long)percentile(0.999), (unsigned long long)misses,
           (unsigned long long)errors);
    return 0;
}
