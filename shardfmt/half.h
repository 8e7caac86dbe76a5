/* Numbers of 16 bits as floats, exactly. */
#ifndef FMT_HALF_H
#define FMT_HALF_H

#include <stdbool.h>
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

/* v rounded to a float of so many bits of exponent and mantissa, to nearest, ties to even. False where
 * that would be infinite although v is not. */
static inline bool
fmt_round_float(double v, unsigned exponent_bits, unsigned mantissa_bits, uint16_t *ret)
{
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const uint32_t infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
    uint64_t bits, mantissa, q, rest;
    uint32_t sign;
    unsigned shift = 52 - mantissa_bits;
    int exponent;

    memcpy(&bits, &v, sizeof(bits));
    sign = (uint32_t)(bits >> 63) << 15;
    exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    mantissa = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent == 1024) { /* infinite, or not a number */
        *ret = (uint16_t)(sign | infinity | (mantissa ? 1u << (mantissa_bits - 1) : 0));
        return true;
    }
    mantissa |= UINT64_C(1) << 52; /* of doubles below 2^-1022, which become 0, not true */
    if (exponent < 1 - bias) {
        const int down = 1 - bias - exponent;

        shift = down > 53 ? 63 : shift + (unsigned)down;
        shift = shift > 63 ? 63 : shift;
        exponent = -bias + 1;
        q = mantissa >> shift;
    } else {
        q = mantissa >> shift;
        q += (uint64_t)(exponent + bias - 1) << mantissa_bits;
    }
    rest = mantissa & ((UINT64_C(1) << shift) - 1);
    if (rest > UINT64_C(1) << (shift - 1) || (rest == UINT64_C(1) << (shift - 1) && (q & 1)))
        q++; /* may carry into the exponent, as it should */
    *ret = (uint16_t)(sign | q);
    return q < infinity;
}

#endif
