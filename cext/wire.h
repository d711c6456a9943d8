/* Big-endian loads and stores, and varints: the bytes of Kafka's wire and disk formats.
 *
 * Nothing here knows Python. Loads and stores do no bounds check: the caller has one.
 *
 *   varint   := zig-zag, then base 128, least significant group first (record fields)
 *   uvarint  := base 128, least significant group first (compact lengths, tags)
 */
#ifndef FASTBROKER_WIRE_H
#define FASTBROKER_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load_u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return __builtin_bswap16(v); }
static inline uint32_t load_u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return __builtin_bswap32(v); }
static inline uint64_t load_u64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return __builtin_bswap64(v); }

static inline void store_u16(uint8_t *p, uint16_t v) { v = __builtin_bswap16(v); memcpy(p, &v, 2); }
static inline void store_u32(uint8_t *p, uint32_t v) { v = __builtin_bswap32(v); memcpy(p, &v, 4); }
static inline void store_u64(uint8_t *p, uint64_t v) { v = __builtin_bswap64(v); memcpy(p, &v, 8); }

/* Bytes read from [p, end), 0 when the input ends first, -1 when longer than the type allows. */
static inline int load_uvarint32(const uint8_t *p, const uint8_t *end, uint32_t *out) {
    uint32_t v = 0;
    for (int i = 0; i < 5; i++) {
        if (p + i >= end) return 0;
        uint8_t b = p[i];
        if (i == 4 && b > 0x0f) return -1;
        v |= (uint32_t)(b & 0x7f) << (7 * i);
        if (b < 0x80) { *out = v; return i + 1; }
    }
    return -1;
}

static inline int load_uvarint64(const uint8_t *p, const uint8_t *end, uint64_t *out) {
    uint64_t v = 0;
    for (int i = 0; i < 10; i++) {
        if (p + i >= end) return 0;
        uint8_t b = p[i];
        if (i == 9 && b > 1) return -1;
        v |= (uint64_t)(b & 0x7f) << (7 * i);
        if (b < 0x80) { *out = v; return i + 1; }
    }
    return -1;
}

static inline int load_varint32(const uint8_t *p, const uint8_t *end, int32_t *out) {
    uint32_t u;
    int n = load_uvarint32(p, end, &u);
    if (n > 0) *out = (int32_t)((u >> 1) ^ (0u - (u & 1)));
    return n;
}

static inline int load_varint64(const uint8_t *p, const uint8_t *end, int64_t *out) {
    uint64_t u;
    int n = load_uvarint64(p, end, &u);
    if (n > 0) *out = (int64_t)((u >> 1) ^ (0ull - (u & 1)));
    return n;
}

/* Bytes written: at most 5 and 10. */
static inline int store_uvarint32(uint8_t *p, uint32_t v) {
    int n = 0;
    while (v >= 0x80) { p[n++] = (uint8_t)(v | 0x80); v >>= 7; }
    p[n++] = (uint8_t)v;
    return n;
}

static inline int store_uvarint64(uint8_t *p, uint64_t v) {
    int n = 0;
    while (v >= 0x80) { p[n++] = (uint8_t)(v | 0x80); v >>= 7; }
    p[n++] = (uint8_t)v;
    return n;
}

static inline int store_varint32(uint8_t *p, int32_t v) {
    return store_uvarint32(p, ((uint32_t)v << 1) ^ (uint32_t)(v >> 31));
}

static inline int store_varint64(uint8_t *p, int64_t v) {
    return store_uvarint64(p, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

#endif
