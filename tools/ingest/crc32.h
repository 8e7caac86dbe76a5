/* CRC-32 as gzip has it (reflected 0xEDB88320), eight bytes a step. */
#ifndef INGEST_CRC32_H
#define INGEST_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Go on from crc (0 at the start) over len more bytes. */
uint32_t ingest_crc32(uint32_t crc, const void *data, size_t len);

#endif
