/* What we take from C++, behind C functions that never throw: simdjson (JSON and UTF-8) and
 * <charconv> (numbers, exact and without a locale). All of it is in json_dom.cc. */
#ifndef INGEST_CXX_H
#define INGEST_CXX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The whole text as a decimal number ("1", "1.5", "-.5", "1e5"; no "+", blanks, hex; the caller
 * has checked that it is no inf or nan). False where it is none, or out of range. */
bool ingest_cxx_double(const char *p, size_t len, double *ret);
bool ingest_cxx_float(const char *p, size_t len, float *ret);
/* Shortest digits that read back as v, as "-d.ddde-NN"; at most 32 bytes, no NUL; the length. */
size_t ingest_cxx_print_double(double v, char *out);
size_t ingest_cxx_print_float(float v, char *out);
bool ingest_cxx_utf8_valid(const void *p, size_t len);

#ifdef __cplusplus
}
#endif
#endif
