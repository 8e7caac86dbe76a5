/* Compiler differences, in one place. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#define BASE_PRINTF(fmt, args)    __attribute__((format(printf, fmt, args)))
#define BASE_LIKELY(x)            __builtin_expect(!!(x), 1)
#define BASE_UNLIKELY(x)          __builtin_expect(!!(x), 0)
#define BASE_ALIGNED(n)           __attribute__((aligned(n)))
#define BASE_UNUSED               __attribute__((unused))
#define BASE_NORETURN             __attribute__((noreturn))
#define BASE_ARRAY_LEN(a)         (sizeof(a) / sizeof((a)[0]))
#define BASE_CONTAINER_OF(p, T, m) ((T *)(void *)((char *)(p) - offsetof(T, m)))
#define BASE_MIN(a, b)            ((a) < (b) ? (a) : (b))
#define BASE_MAX(a, b)            ((a) > (b) ? (a) : (b))

#endif
