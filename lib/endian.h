/* Little-endian numbers in bytes; no alignment needed. */
#ifndef BASE_ENDIAN_H
#define BASE_ENDIAN_H

#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Shardline hands out column data in place and so needs a little-endian machine"
#endif

#define BASE_ENDIAN_FUNCS(bits)                                                                    \
    static inline uint##bits##_t base_load_le##bits(const void *p)                                 \
    {                                                                                              \
        uint##bits##_t v;                                                                          \
        memcpy(&v, p, sizeof(v));                                                                  \
        return v;                                                                                  \
    }                                                                                              \
    static inline void base_store_le##bits(void *p, uint##bits##_t v)                              \
    {                                                                                              \
        memcpy(p, &v, sizeof(v));                                                                  \
    }
BASE_ENDIAN_FUNCS(16)
BASE_ENDIAN_FUNCS(32)
BASE_ENDIAN_FUNCS(64)

#endif
