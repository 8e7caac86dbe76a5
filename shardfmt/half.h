/* Numbers of 16 bits as floats, exactly. */
#ifndef FMT_HALF_H
#define FMT_HALF_H

#include <stdint.h>
#include <string.h>

static inline float
fmt_bfloat16(uint16_t v)
{
    const uint32_t bits = (uint32_t)v << 16;
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* IEEE 754 binary16: sign, 5 bits of exponent, 10 of mantissa. */
static inline float
fmt_float16(uint16_t v)
{
    const uint32_t sign = (uint32_t)(v & 0x8000u) << 16, exponent = v >> 10 & 31, mantissa = v & 1023u;
    uint32_t bits;
    float f;

    if (exponent == 0) { /* zero, or so many times 2^-24 */
        f = (float)mantissa * 0x1p-24f;
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 255u : exponent + 112) << 23 | mantissa << 13;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

#endif
