/* Results and errors of every Shardline function.
 *
 * A function that can fail returns int (or int64_t for a count). A result >= 0 is success. A
 * result < 0 is an error:
 *
 *   -errno            the system said no, memory ran out, or the caller passed nonsense (-EINVAL)
 *   SHARD_E*          something is wrong with the data (from -10001 down)
 *
 * Many functions take an optional struct shard_error, which the deepest function that knows what
 * happened fills with one sentence: what was wrong, where, and if it can be told, what to do.
 *
 * Thread safety: everything here is stateless.
 */
#ifndef SHARDLINE_STATUS_H
#define SHARDLINE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define SHARD_API       __attribute__((visibility("default")))
#define SHARD_NODISCARD __attribute__((warn_unused_result))
#else
#define SHARD_API
#define SHARD_NODISCARD
#endif

enum shard_status {
    SHARD_ETRUNC = -10001,       /* the data end too early */
    SHARD_ECORRUPT = -10002,     /* the bytes contradict the format */
    SHARD_ECHECKSUM = -10003,    /* a checksum does not match its bytes */
    SHARD_EUNSUPPORTED = -10004, /* well formed, but of a newer version or an unknown kind */
    SHARD_ELIMIT = -10005,       /* legal, but above a safety limit of this build */
    SHARD_ECONFLICT = -10006,    /* another writer published first; nothing was changed */
    SHARD_ENOTFOUND = -10007,    /* no such dataset, split, column or row */
    SHARD_EBUDGET = -10008,      /* the memory budget cannot work; the text names the smallest */
    SHARD_EPARSE = -10009,       /* text that the user gave cannot be understood */
};

#define SHARD_ERROR_TEXT_MAX 512

/* What went wrong. Plain; owned by the caller; text is empty after success. */
struct shard_error {
    int code;                        /* the value that the function returned */
    char text[SHARD_ERROR_TEXT_MAX]; /* one UTF-8 sentence, NUL-terminated, without a newline */
};

/**
 * A short constant description of a code: what shard_error.code means in general.
 * Never NULL; unknown codes give "unknown error". Safe from any thread.
 */
SHARD_API const char *shard_strerror(int code);

#ifdef __cplusplus
}
#endif
#endif
