/* SipHash-2-4 with 128 bits of output: a keyed hash (Aumasson and Bernstein, 2012).
 *
 * Nobody who does not know the key can make two inputs collide, nor tell one output from chance.
 */
#ifndef FASTBROKER_SIPHASH_H
#define FASTBROKER_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t sip_load(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

#define SIP_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SIP_ROUND                                                     \
    do {                                                              \
        v0 += v1; v1 = SIP_ROTL(v1, 13); v1 ^= v0; v0 = SIP_ROTL(v0, 32); \
        v2 += v3; v3 = SIP_ROTL(v3, 16); v3 ^= v2;                    \
        v0 += v3; v3 = SIP_ROTL(v3, 21); v3 ^= v0;                    \
        v2 += v1; v1 = SIP_ROTL(v1, 17); v1 ^= v2; v2 = SIP_ROTL(v2, 32); \
    } while (0)

static inline void siphash128(const uint8_t key[16], const uint8_t *in, size_t size,
                              uint64_t *low, uint64_t *high) {
    const uint64_t k0 = sip_load(key), k1 = sip_load(key + 8);
    uint64_t v0 = k0 ^ 0x736f6d6570736575ull, v1 = k1 ^ 0x646f72616e646f6dull ^ 0xee;
    uint64_t v2 = k0 ^ 0x6c7967656e657261ull, v3 = k1 ^ 0x7465646279746573ull;
    const uint8_t *end = in + (size & ~(size_t)7);
    uint64_t word = (uint64_t)size << 56;
    for (; in != end; in += 8) {
        uint64_t m = sip_load(in);
        v3 ^= m;
        SIP_ROUND; SIP_ROUND;
        v0 ^= m;
    }
    for (size_t i = 0; i < (size & 7); i++) word |= (uint64_t)in[i] << (8 * i);
    v3 ^= word;
    SIP_ROUND; SIP_ROUND;
    v0 ^= word;
    v2 ^= 0xee;
    SIP_ROUND; SIP_ROUND; SIP_ROUND; SIP_ROUND;
    *low = v0 ^ v1 ^ v2 ^ v3;
    v1 ^= 0xdd;
    SIP_ROUND; SIP_ROUND; SIP_ROUND; SIP_ROUND;
    *high = v0 ^ v1 ^ v2 ^ v3;
}

#endif
