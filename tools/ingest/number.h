/* Numbers as text: what is an integer, what is a float, and the shortest text that gives a value
 * back. Nothing here looks at the locale. Stateless. */
#ifndef INGEST_NUMBER_H
#define INGEST_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ingest_num_kind {
    INGEST_NUM_NONE = 0, /* no number */
    INGEST_NUM_INT,      /* an integer that int64 holds */
    INGEST_NUM_UINT,     /* one that only uint64 holds */
    INGEST_NUM_FLOAT,
    INGEST_NUM_BIG, /* a number that none of these holds: only its text is exact */
};

union ingest_num {
    int64_t i;
    uint64_t u;
    double f;
};

#define INGEST_NUM_TEXT_MAX 32 /* bytes that the print functions write at most */

/* A number by the grammar of JSON, the whole text. "-0" is a float, so that its sign survives;
 * what overflows double, or is not zero but becomes zero, is BIG. */
enum ingest_num_kind ingest_num_json(const char *p, size_t len, union ingest_num *ret);
/* INT or UINT where text is an integer exactly as we print it, else NONE ("007", "+1", "-0"). */
enum ingest_num_kind ingest_num_canonical_int(const char *p, size_t len, union ingest_num *ret);
/* Whether text is exactly what ingest_print_double(v, false) gives for its value. */
bool ingest_num_canonical_float(const char *p, size_t len, double *ret);
/* As people write numbers where a type was given: a sign, leading zeros, ".5", "5." are fine. */
enum ingest_num_kind ingest_num_lenient(const char *p, size_t len, union ingest_num *ret);
/* Whether the text is a number at all, by the lenient rules; its value is not looked at. */
bool ingest_num_is_lenient(const char *p, size_t len);
/* Of a text that is INGEST_NUM_BIG: whether it is too small for a float64 rather than too large. *ret
 * is the zero next to it. */
bool ingest_num_is_tiny(const char *p, size_t len, double *ret);
/* Lenient, as float32; *ret_exact tells whether the shortest text of the float32 is the same
 * decimal number. What is too small becomes zero. False where text is no number or too large. */
bool ingest_num_f32(const char *p, size_t len, float *ret, bool *ret_exact);

/* Whether double holds the integer. */
bool ingest_i64_fits_double(int64_t v);
bool ingest_u64_fits_double(uint64_t v);

/* Shortest text that reads back as v, laid out as Python does: 0.0001 to 1e16 without exponent.
 * With point_zero, whole numbers get ".0". v must be finite. Returns its length; no NUL. */
size_t ingest_print_double(double v, bool point_zero, char *out);
size_t ingest_print_float(float v, bool point_zero, char *out);
/* The same of a float16, or else a bfloat16, as its bits. */
size_t ingest_print_half(uint16_t bits, bool is_float16, bool point_zero, char *out);
size_t ingest_print_i64(int64_t v, char *out);
size_t ingest_print_u64(uint64_t v, char *out);

#endif
