/* Slicing by eight, as in Kounavis and Berry, "A Systematic Approach to Building High Performance
 * Software-Based CRC Generators", ISCC 2005. */
#include "config.h"

#include "tools/ingest/crc32.h"

#include <pthread.h>

#include "lib/endian.h"

static uint32_t table[8][256]; /* written once, under table_once */
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void
table_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (unsigned bit = 0; bit < 8; bit++)
            c = c >> 1 ^ (c & 1 ? UINT32_C(0xedb88320) : 0);
        table[0][i] = c;
    }
    for (unsigned k = 1; k < 8; k++)
        for (unsigned i = 0; i < 256; i++)
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

uint32_t
ingest_crc32(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    (void)pthread_once(&table_once, table_make);
    crc = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        const uint64_t v = base_load_le64(p) ^ crc;

        crc = table[7][v & 255] ^ table[6][v >> 8 & 255] ^ table[5][v >> 16 & 255] ^
              table[4][v >> 24 & 255] ^ table[3][v >> 32 & 255] ^ table[2][v >> 40 & 255] ^
              table[1][v >> 48 & 255] ^ table[0][v >> 56];
    }
    for (; len > 0; len--)
        crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
    return ~crc;
}
