/* Byte-stream split, encoding FMT_ENC_BSS: the lowest byte of every value, then the next one of every
 * value, and so on. What is alike in neighbouring values (signs and exponents, high bytes) then stands
 * together. docs/format.md, "BSS", is normative. */
#ifndef FMT_BSS_H
#define FMT_BSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The low n_planes bytes of n values of size 1, 2, 4 or 8 bytes, plane by plane, n bytes each. */
void fmt_bss_split(const void *values, size_t size, size_t n, size_t n_planes, uint8_t *dst);
/* n values of planes that are stride bytes apart, extended with zeros or their sign. */
void fmt_bss_join(const uint8_t *src, size_t stride, size_t n_planes, bool is_signed, size_t n,
                  void *dst, size_t size);

#endif
