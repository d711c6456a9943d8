/* CRC-32C without the interpreter: by the processor's instruction where there is one, else a table.
 *
 * The crc32c package's function can only be called with the interpreter's lock, which the sync
 * thread never holds. One stream of instructions makes about 8 GB/s, far more than a journal takes.
 */
#ifndef FASTBROKER_CRC32C_H
#define FASTBROKER_CRC32C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

static inline uint64_t crc32c_word(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

static inline uint32_t crc32c_by_table(uint32_t crc, const uint8_t *p, size_t size) {
    static const uint32_t half_byte[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    while (size--) {
        crc ^= *p++;
        crc = crc >> 4 ^ half_byte[crc & 15];
        crc = crc >> 4 ^ half_byte[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static inline uint32_t crc32c_by_instruction(uint32_t crc, const uint8_t *p, size_t size) {
    uint64_t state = crc;
    for (; size >= 8; p += 8, size -= 8) state = _mm_crc32_u64(state, crc32c_word(p));
    for (; size; p++, size--) state = _mm_crc32_u8((uint32_t)state, *p);
    return (uint32_t)state;
}
#elif defined(__ARM_FEATURE_CRC32)
static inline uint32_t crc32c_by_instruction(uint32_t crc, const uint8_t *p, size_t size) {
    for (; size >= 8; p += 8, size -= 8) crc = __crc32cd(crc, crc32c_word(p));
    for (; size; p++, size--) crc = __crc32cb(crc, *p);
    return crc;
}
#endif

/* The CRC-32C of `size` bytes; with_instruction 0: by the table, for whoever compares the two. */
static inline uint32_t crc32c_of(const uint8_t *p, size_t size, int with_instruction) {
    uint32_t crc = 0xffffffffu;
#if defined(__x86_64__)
    if (with_instruction && __builtin_cpu_supports("sse4.2"))
        return ~crc32c_by_instruction(crc, p, size);
#elif defined(__ARM_FEATURE_CRC32)
    if (with_instruction) return ~crc32c_by_instruction(crc, p, size);
#endif
    return ~crc32c_by_table(crc, p, size);
}

#endif
