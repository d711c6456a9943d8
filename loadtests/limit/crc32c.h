/* CRC-32C with SSE4.2: three streams at once, joined by tables.
 *
 * One crc32 instruction has a latency of three cycles and a throughput of one, so three independent
 * streams over neighbouring blocks keep it busy. A CRC is moved over the zeros of a block by a
 * linear map, kept as four tables of 256 words (the method of zlib's crc32_combine).
 */
#ifndef LIMIT_CRC32C_H
#define LIMIT_CRC32C_H

#include <nmmintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CRC_LONG 8192
#define CRC_SHORT 256

static uint32_t crc_over_long[4][256], crc_over_short[4][256];

/* Where `size` zero bytes take each bit of a state: by the instruction itself, at start-up. */
static inline void crc_make_table(uint32_t table[4][256], size_t size) {
    uint32_t image[32];
    for (int bit = 0; bit < 32; bit++) {
        uint64_t state = 1u << bit;
        for (size_t i = 0; i < size; i += 8) state = _mm_crc32_u64(state, 0);
        image[bit] = (uint32_t)state;
    }
    for (int byte = 0; byte < 4; byte++)
        for (int value = 0; value < 256; value++) {
            uint32_t sum = 0;
            for (int bit = 0; bit < 8; bit++)
                if (value >> bit & 1) sum ^= image[8 * byte + bit];
            table[byte][value] = sum;
        }
}

static inline void crc_prepare(void) {
    crc_make_table(crc_over_long, CRC_LONG);
    crc_make_table(crc_over_short, CRC_SHORT);
}

static inline uint64_t crc_shift(uint32_t table[4][256], uint64_t crc) {
    return table[0][crc & 255] ^ table[1][crc >> 8 & 255] ^ table[2][crc >> 16 & 255] ^
           table[3][crc >> 24 & 255];
}

static inline uint64_t crc_word(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint64_t crc_triples(
    uint64_t crc, const uint8_t **at, size_t *left, size_t block, uint32_t table[4][256]) {
    while (*left >= 3 * block) {
        const uint8_t *p = *at;
        uint64_t b = 0, c = 0;
        for (size_t i = 0; i < block; i += 8) {
            crc = _mm_crc32_u64(crc, crc_word(p + i));
            b = _mm_crc32_u64(b, crc_word(p + block + i));
            c = _mm_crc32_u64(c, crc_word(p + 2 * block + i));
        }
        crc = crc_shift(table, crc) ^ b;
        crc = crc_shift(table, crc) ^ c;
        *at += 3 * block;
        *left -= 3 * block;
    }
    return crc;
}

static inline uint32_t crc32c(const uint8_t *p, size_t left) {
    uint64_t crc = 0xffffffffu;
    crc = crc_triples(crc, &p, &left, CRC_LONG, crc_over_long);
    crc = crc_triples(crc, &p, &left, CRC_SHORT, crc_over_short);
    for (; left >= 8; p += 8, left -= 8) crc = _mm_crc32_u64(crc, crc_word(p));
    for (; left; p++, left--) crc = _mm_crc32_u8((uint32_t)crc, *p);
    return (uint32_t)crc ^ 0xffffffffu;
}

#endif
