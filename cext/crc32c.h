/* CRC-32C for code that runs without the interpreter's lock; everybody else uses the crc32c package.
 *
 * One stream through the processor's instruction, 8 bytes at once; a table where there is none.
 */
#ifndef FASTBROKER_CRC32C_H
#define FASTBROKER_CRC32C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint32_t crc32c_table[256];
static int crc32c_has_instruction;

/* Once, before anything else here. */
static void crc32c_prepare(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++) c = c & 1 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
        crc32c_table[n] = c;
    }
#if defined(__x86_64__)
    __builtin_cpu_init();
    crc32c_has_instruction = __builtin_cpu_supports("sse4.2");
#endif
}

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static uint32_t crc32c_fast(uint32_t crc, const uint8_t *p, size_t size) {
    uint64_t wide = crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        wide = __builtin_ia32_crc32di(wide, v);
    }
    crc = (uint32_t)wide;
    for (; size; size--) crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}
#endif

static uint32_t crc32c_of(const uint8_t *p, size_t size) {
    uint32_t crc = 0xffffffffu;
#if defined(__x86_64__)
    if (crc32c_has_instruction) return ~crc32c_fast(crc, p, size);
#endif
    for (; size; size--) crc = (crc >> 8) ^ crc32c_table[(crc ^ *p++) & 0xff];
    return ~crc;
}

#endif
