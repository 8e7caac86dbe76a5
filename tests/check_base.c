/* The small parts of lib/: arithmetic, buffers, budget, cursor, numbers as typed, hashes, files,
 * errors, and the codec against hostile frames. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "lib/arith.h"
#include "lib/budget.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/codec.h"
#include "lib/compiler.h"
#include "lib/cursor.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/parse.h"
#include "tests/base_util.h"
#include "tests/random.h"
#include "tests/suite.h"

/* --------------------------------------------------------------------------------- arithmetic */

START_TEST(test_arith_refuses_overflow)
{
    size_t v = 7;
    uint64_t w = 7;

    ck_assert_int_eq(base_add_size(SIZE_MAX, 1, &v), -EOVERFLOW);
    ck_assert_int_eq(base_mul_size(SIZE_MAX / 2, 3, &v), -EOVERFLOW);
    ck_assert_int_eq(base_add_u64(UINT64_MAX - 1, 2, &w), -EOVERFLOW);
    ck_assert_uint_eq(v, 7);
    ck_assert_uint_eq(w, 7);
    ck_assert_int_eq(base_add_size(SIZE_MAX - 1, 1, &v), 0);
    ck_assert_uint_eq(v, SIZE_MAX);
    ck_assert_int_eq(base_mul_size(1u << 20, 1u << 20, &v), 0);
    ck_assert_uint_eq(v, (size_t)1 << 40);
    /* (2^64 - 1) * 1000 / 2000 = 2^63 - 1/2 */
    ck_assert_uint_eq(base_muldiv_u64(UINT64_MAX, 1000, 2000), UINT64_MAX / 2);
    ck_assert_uint_eq(base_align_up(0, 64), 0);
    ck_assert_uint_eq(base_align_up(1, 64), 64);
    ck_assert_uint_eq(base_align_up(64, 64), 64);
}
END_TEST

/* ------------------------------------------------------------------------------------ buffers */

START_TEST(test_buf_keeps_content_alignment_and_slack)
{
    struct base_buf b = {0};
    uint64_t state = 3;
    unsigned char *want = malloc(1 << 20);
    size_t len = 0;

    base_test_fill(want, 1 << 20, 5);
    while (len < 900000) {
        size_t n = test_random(&state) % 20000;

        if (n > (1u << 20) - len)
            n = (1u << 20) - len;
        ck_assert_int_eq(base_buf_append(&b, want + len, n), 0);
        len += n;
        ck_assert_uint_eq(b.len, len);
        ck_assert_uint_ge(b.cap, b.len);
        ck_assert_uint_eq((uintptr_t)b.data % 64, 0);
        for (unsigned i = 0; i < BASE_BUF_SLACK; i++)
            ck_assert_int_le(((volatile uint8_t *)b.data)[b.cap + i], 255); /* ASan looks */
    }
    ck_assert_mem_eq(b.data, want, len);
    base_buf_reset(&b);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_ptr_nonnull(b.data);
    base_buf_done(&b);
    ck_assert_ptr_null(b.data);
    base_buf_done(&b);
    free(want);
}
END_TEST

START_TEST(test_buf_refuses_what_cannot_fit)
{
    struct base_buf b = {0};

    ck_assert_int_eq(base_buf_append(&b, "abc", 3), 0);
    ck_assert_int_eq(base_buf_reserve(&b, SIZE_MAX - 1), -ENOMEM);
    ck_assert_int_eq(base_buf_reserve(&b, SIZE_MAX - 100), -ENOMEM);
    ck_assert_int_eq(base_buf_reserve_exact(&b, SIZE_MAX / 2), -ENOMEM);
    ck_assert_uint_eq(b.len, 3);
    ck_assert_mem_eq(b.data, "abc", 3);
    ck_assert_ptr_null(base_alloc_aligned(SIZE_MAX - 10));
    base_buf_done(&b);
}
END_TEST

START_TEST(test_buf_of_nothing_has_memory)
{
    struct base_buf b = {0}, c = {0};

    ck_assert_int_eq(base_buf_append(&b, NULL, 0), 0);
    ck_assert_ptr_nonnull(b.data);
    ck_assert_int_eq(base_buf_append_zero(&c, 0), 0);
    ck_assert_int_eq(base_buf_reserve_exact(&c, 0), 0);
    base_buf_done(&b);
    base_buf_done(&c);
}
END_TEST

START_TEST(test_buf_exact_printf_zero)
{
    struct base_buf b = {0};

    ck_assert_int_eq(base_buf_reserve_exact(&b, 1000), 0);
    ck_assert_uint_eq(b.cap, 1000);
    ck_assert_int_eq(base_buf_printf(&b, "%s-%d", "row", 42), 0);
    ck_assert_uint_eq(b.len, 6);
    for (int i = 0; i < 400; i++)
        ck_assert_int_eq(base_buf_printf(&b, "%d,", i), 0);
    ck_assert_mem_eq(b.data, "row-420,1,2,", 12);
    ck_assert_int_eq(base_buf_append_zero(&b, 3), 0);
    ck_assert_mem_eq(b.data + b.len - 4, ",\0\0\0", 4);
    base_buf_done(&b);
}
END_TEST

/* ------------------------------------------------------------------------------------- budget */

START_TEST(test_budget_never_passes_its_limit)
{
    struct base_budget b;

    base_budget_init(&b, 100);
    ck_assert(base_budget_take(&b, 60));
    ck_assert(!base_budget_take(&b, 41));
    ck_assert(!base_budget_take(&b, UINT64_MAX));
    ck_assert(base_budget_take(&b, 40));
    ck_assert_uint_eq(base_budget_used(&b), 100);
    base_budget_force(&b, 50);
    ck_assert_uint_eq(base_budget_used(&b), 150);
    ck_assert(!base_budget_take(&b, 0));
    base_budget_give(&b, 150);
    ck_assert(base_budget_take(&b, 0));
    ck_assert_uint_eq(base_budget_used(&b), 0);
    ck_assert_uint_eq(b.peak, 150);
    ck_assert(base_budget_take(NULL, UINT64_MAX));
    base_budget_force(NULL, 1);
    base_budget_give(NULL, 1);
    ck_assert_uint_eq(base_budget_used(NULL), 0);
}
END_TEST

static void *
budget_user(void *arg)
{
    struct base_budget *b = arg;
    uint64_t state = (uintptr_t)&state, held = 0;
    intptr_t bad = 0;

    for (int i = 0; i < 100000; i++) {
        const uint64_t n = test_random(&state) % 40;

        if (base_budget_take(b, n))
            held += n;
        bad += base_budget_used(b) > 100;
        if (held > 50) {
            base_budget_give(b, held);
            held = 0;
        }
    }
    base_budget_give(b, held);
    return (void *)bad;
}

START_TEST(test_budget_is_shared_by_threads)
{
    struct base_budget b;
    pthread_t threads[4];
    void *bad;

    base_budget_init(&b, 100);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, budget_user, &b), 0);
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], &bad);
        ck_assert_ptr_null(bad);
    }
    ck_assert_uint_eq(base_budget_used(&b), 0);
    ck_assert_uint_le(b.peak, 100);
    ck_assert_uint_gt(b.peak, 50);
}
END_TEST

/* ------------------------------------------------------------------------------------- cursor */

START_TEST(test_cursor_knows_its_end)
{
    static const uint8_t bytes[] = {1, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12,
                                    8, 7,    6,    5,    4,    3,    2, 1};
    struct base_cursor c = base_cursor_make(bytes, sizeof(bytes));

    ck_assert_uint_eq(base_cursor_u8(&c), 1);
    ck_assert_uint_eq(base_cursor_u16(&c), 0x1234);
    ck_assert_uint_eq(base_cursor_u32(&c), 0x12345678);
    ck_assert_uint_eq(base_cursor_u64(&c), 0x0102030405060708u);
    ck_assert(base_cursor_ok(&c));
    ck_assert_uint_eq(base_cursor_left(&c), 0);
    ck_assert_uint_eq(base_cursor_u8(&c), 0);
    ck_assert(!base_cursor_ok(&c));

    /* every prefix: the first read past it fails, and all after that */
    for (size_t len = 0; len < sizeof(bytes); len++) {
        c = base_cursor_make(bytes, len);
        (void)base_cursor_u8(&c);
        (void)base_cursor_u16(&c);
        (void)base_cursor_u32(&c);
        (void)base_cursor_u64(&c);
        ck_assert(!base_cursor_ok(&c));
        ck_assert_ptr_null(base_cursor_bytes(&c, 0));
    }
    c = base_cursor_make(bytes, sizeof(bytes));
    ck_assert_ptr_null(base_cursor_bytes(&c, SIZE_MAX));
    ck_assert_ptr_null(base_cursor_bytes(&c, 1)); /* it sticks */
}
END_TEST

/* -------------------------------------------------------------------------------------- typed */

struct size_case {
    const char *text;
    uint64_t want;
};

START_TEST(test_parse_size)
{
    static const struct size_case good[] = {
        {"0", 0},
        {"64", 64},
        {"64B", 64},
        {"4K", 4096},
        {"4k", 4096},
        {"256M", 268435456},
        {"256MiB", 268435456},
        {"2GB", 2147483648u},
        {"1T", 1099511627776u},
        {"16777215T", 16777215u * 1099511627776u},
        {"18446744073709551615", UINT64_MAX},
    };
    static const char *const bad[] = {
        "",   " 1", "1 ", "-1", "+1", "1.5G",      "K",   "1KiBs", "1Ki",
        "1X", "0x1", "1e3", "1KK", "16777216T", "18446744073709551616",
    };
    struct shard_error err;
    uint64_t v;

    for (unsigned i = 0; i < BASE_ARRAY_LEN(good); i++) {
        ck_assert_msg(base_parse_size(good[i].text, "--memory", &v, &err) == 0, "%s", err.text);
        ck_assert_uint_eq(v, good[i].want);
    }
    for (unsigned i = 0; i < BASE_ARRAY_LEN(bad); i++) {
        ck_assert_msg(base_parse_size(bad[i], "--memory", &v, &err) == SHARD_EPARSE, "%s",
                      bad[i]);
        ck_assert_msg(strncmp(err.text, "--memory: ", 10) == 0, "%s", err.text);
    }
}
END_TEST

START_TEST(test_parse_u64)
{
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1k", "0x10", "1.0",
                                      "18446744073709551616"};
    struct shard_error err;
    uint64_t v;

    ck_assert_int_eq(base_parse_u64("18446744073709551615", "-j", 0, UINT64_MAX, &v, &err), 0);
    ck_assert_uint_eq(v, UINT64_MAX);
    ck_assert_int_eq(base_parse_u64("007", "-j", 1, 9, &v, &err), 0);
    ck_assert_uint_eq(v, 7);
    ck_assert_int_eq(base_parse_u64("0", "-j", 1, 9, &v, &err), SHARD_EPARSE);
    ck_assert_int_eq(base_parse_u64("10", "-j", 1, 9, &v, &err), SHARD_EPARSE);
    ck_assert_str_eq(err.text, "-j: 10 is not between 1 and 9");
    ck_assert_int_eq(base_parse_u64("99999999999999999999", "-j", 1, 9, &v, &err), SHARD_EPARSE);
    ck_assert_str_eq(err.text, "-j: 99999999999999999999 is not between 1 and 9");
    ck_assert_int_eq(base_parse_u64("18446744073709551616", "-n", 0, UINT64_MAX, &v, &err),
                     SHARD_EPARSE);
    ck_assert_str_eq(err.text, "-n: 18446744073709551616 is above 18446744073709551615");
    ck_assert_int_eq(base_parse_size("16777216T", "-m", &v, &err), SHARD_EPARSE);
    ck_assert_str_eq(err.text, "-m: 16777216T is more than 64 bits hold");
    ck_assert_uint_eq(v, 7);
    for (unsigned i = 0; i < BASE_ARRAY_LEN(bad); i++)
        ck_assert_msg(base_parse_u64(bad[i], "-j", 0, UINT64_MAX, &v, &err) == SHARD_EPARSE,
                      "%s", bad[i]);
}
END_TEST

START_TEST(test_parse_double)
{
    static const char *const bad[] = {"",    "nan", "inf", "-inf", "1,5", " 1", "1 ", "0x1p3",
                                      "1e",  "1e999", "--1", "1.2.3", ".",   "e5", "1f"};
    struct shard_error err;
    double v;

    /* a locale with a decimal comma changes nothing, where there is one */
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
        (void)setlocale(LC_ALL, "C.UTF-8");
    ck_assert_int_eq(base_parse_double("0.5", "--lr", 0, 1, &v, &err), 0);
    ck_assert(v == 0.5);
    ck_assert_int_eq(base_parse_double("-1.25e-2", "--lr", -1, 1, &v, &err), 0);
    ck_assert(v == -0.0125);
    ck_assert_int_eq(base_parse_double("1", "--lr", 0, 1, &v, &err), 0);
    ck_assert_int_eq(base_parse_double("1.001", "--lr", 0, 1, &v, &err), SHARD_EPARSE);
    ck_assert_str_eq(err.text, "--lr: 1.001 is not between 0 and 1");
    for (unsigned i = 0; i < BASE_ARRAY_LEN(bad); i++)
        ck_assert_msg(base_parse_double(bad[i], "--lr", -INFINITY, INFINITY, &v, &err) ==
                          SHARD_EPARSE,
                      "%s", bad[i]);
    (void)setlocale(LC_ALL, "C");
}
END_TEST

/* ------------------------------------------------------------------------------------- hashes */

START_TEST(test_hash_known_values_and_hex)
{
    char hex[BASE_HEX128_LEN + 1];
    struct base_hash128 h, back;
    uint8_t disk[16];

    /* the published values for no bytes and seed 0 */
    base_hex64(base_hash64("", 0, 0), hex);
    ck_assert_str_eq(hex, "2d06800538d394c2");
    h = base_hash128("", 0, 0);
    base_hex128(h, hex);
    ck_assert_str_eq(hex, "99aa06d3014798d86001c324468d497f");

    ck_assert(base_unhex128(hex, &back));
    ck_assert(base_hash128_eq(h, back));
    ck_assert(base_unhex128("99AA06D3014798D86001C324468D497F", &back));
    ck_assert(base_hash128_eq(h, back));
    base_hash128_store(disk, h);
    ck_assert_uint_eq(disk[0], 0x7f); /* the lowest byte of lo comes first */
    ck_assert_uint_eq(disk[15], 0x99);
    ck_assert(base_hash128_eq(base_hash128_load(disk), h));
}
END_TEST

/* Against xxHash's own function as it is compiled here. */
static void
hash_compare(const uint8_t *data, size_t len, uint64_t seed)
{
    const XXH128_hash_t want = XXH3_128bits_withSeed(data, len, seed);
    const struct base_hash128 h = base_hash128(data, len, seed);
    XXH3_state_t *st = XXH3_createState();
    size_t cut = len / 3;

    ck_assert_uint_eq(base_hash64(data, len, seed), XXH3_64bits_withSeed(data, len, seed));
    ck_assert_uint_eq(h.lo, want.low64);
    ck_assert_uint_eq(h.hi, want.high64);
    ck_assert_ptr_nonnull(st);
    (void)XXH3_64bits_reset_withSeed(st, seed);
    base_hash_update(st, data, cut);
    base_hash_update(st, data + cut, len - cut);
    ck_assert_uint_eq(XXH3_64bits_digest(st), XXH3_64bits_withSeed(data, len, seed));
    (void)XXH3_128bits_reset_withSeed(st, seed);
    for (cut = 0; cut < len; cut += 1000)
        base_hash_update(st, data + cut, BASE_MIN(len - cut, 1000));
    ck_assert(XXH128_isEqual(XXH3_128bits_digest(st), want));
    (void)XXH3_freeState(st);
}

START_TEST(test_hash_is_the_same_at_every_length_and_place)
{
    static uint8_t data[300000];
    uint64_t x = 1;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)((x = x * 6364136223846793005u + 1442695040888963407u) >> 56);
    for (size_t len = 0; len < 2600; len++)
        hash_compare(data + len % 67, len, len % 2 ? x + len : 0);
    for (size_t at = 0; at < 64; at++) {
        hash_compare(data + at, BASE_HASH_LONG, 0);
        hash_compare(data + at, sizeof(data) - 64, x);
        hash_compare(data + at, (BASE_HASH_LONG << at / 8) + at, at);
    }
}
END_TEST

#if defined(__x86_64__) && defined(__GNUC__)
/* Upper halves of vector registers that are left in use slow down all that is not compiled for AVX. */
START_TEST(test_hash_leaves_no_vectors_in_use)
{
    static uint8_t data[100000], upper[16][16];
    static const uint8_t none[sizeof(upper)];
    XXH3_state_t *st = XXH3_createState();
    uint64_t sum = 0;

    if (!__builtin_cpu_supports("avx2"))
        return;
    memset(data, 0xa5, sizeof(data));
    for (int how = 0; how < 3; how++) {
        (void)XXH3_64bits_reset(st);
        if (how == 0)
            sum += base_hash64(data, sizeof(data), 1);
        else if (how == 1)
            sum += base_hash128(data, sizeof(data), 1).lo;
        else
            base_hash_update(st, data, sizeof(data));
#define UPPER(n) "vextracti128 $1, %%ymm" #n ", " #n "*16(%0)\n\t"
        __asm__ volatile(UPPER(0) UPPER(1) UPPER(2) UPPER(3) UPPER(4) UPPER(5) UPPER(6) UPPER(7)
                         UPPER(8) UPPER(9) UPPER(10) UPPER(11) UPPER(12) UPPER(13) UPPER(14)
                         UPPER(15)
                         : : "r"(upper) : "memory");
        ck_assert_mem_eq(upper, none, sizeof(upper));
    }
    ck_assert_uint_ne(sum, 0);
    (void)XXH3_freeState(st);
}
END_TEST
#endif

START_TEST(test_unhex_takes_32_digits_only)
{
    struct base_hash128 h;

    ck_assert(!base_unhex128("", &h));
    ck_assert(!base_unhex128("99aa06d3014798d86001c324468d497", &h));
    ck_assert(!base_unhex128("99aa06d3014798d86001c324468d497f0", &h));
    ck_assert(!base_unhex128("99aa06d3014798d8 001c324468d497f", &h));
    ck_assert(!base_unhex128("g9aa06d3014798d86001c324468d497f", &h));
}
END_TEST

START_TEST(test_hash_sum_carries)
{
    struct base_hash128 a = {UINT64_MAX, UINT64_MAX}, one = {1, 0}, s;

    s = base_hash128_add(a, one);
    ck_assert(s.lo == 0 && s.hi == 0);
    a.hi = 5;
    s = base_hash128_add(a, one);
    ck_assert(s.lo == 0 && s.hi == 6);
}
END_TEST

/* ------------------------------------------------------------------------------------- errors */

START_TEST(test_fail_writes_one_sentence)
{
    struct shard_error err = {0};

    ck_assert_int_eq(base_fail(&err, SHARD_ETRUNC, "footer at %d", 5), SHARD_ETRUNC);
    ck_assert_int_eq(err.code, SHARD_ETRUNC);
    ck_assert_str_eq(err.text, "footer at 5");
    ck_assert_int_eq(base_fail(&err, -ENOENT, "a.shard"), -ENOENT);
    ck_assert_str_eq(err.text, "a.shard: No such file or directory");
    ck_assert_int_eq(base_fail_in(&err, -EIO, "dataset %s", "d"), -ENOENT);
    ck_assert_str_eq(err.text, "dataset d: a.shard: No such file or directory");
    ck_assert_int_eq(base_fail(NULL, -EIO, "x"), -EIO);
    ck_assert_int_eq(base_fail_in(NULL, -EIO, "x"), -EIO);
    (void)base_fail(&err, SHARD_EPARSE, "bad '%s'", "a\nb\033[2J");
    ck_assert_str_eq(err.text, "bad 'a b [2J'");
    (void)base_fail(&err, SHARD_EPARSE, "again: %s", err.text); /* its own text as argument */
    ck_assert_str_eq(err.text, "again: bad 'a b [2J'");
    err = (struct shard_error){0};
    ck_assert_int_eq(base_fail_in(&err, SHARD_ELIMIT, "x"), SHARD_ELIMIT);
    ck_assert_str_eq(err.text, "x: above a safety limit");
}
END_TEST

/* However long the parts are, the text is cut between two UTF-8 characters. */
START_TEST(test_fail_cuts_between_characters)
{
    static const char *const chars[] = {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    for (unsigned c = 0; c < 4; c++) {
        for (size_t lead = 0; lead < 8; lead++) {
            struct shard_error err = {0};
            char text[2400] = "";
            size_t len, width = strlen(chars[c]);

            memset(text, 'x', lead);
            for (len = lead; len + width < sizeof(text) - 1; len += width)
                memcpy(text + len, chars[c], width);
            (void)base_fail(&err, SHARD_ECORRUPT, "%s", text);
            len = strlen(err.text);
            ck_assert_uint_lt(len, sizeof(err.text));
            ck_assert_uint_ge(len + width, sizeof(err.text) - 1);
            ck_assert_uint_eq((len - lead) % width, 0);
            (void)base_fail_in(&err, SHARD_ECORRUPT, "name");
            len = strlen(err.text) - strlen("name: ");
            ck_assert_uint_eq((len - lead) % width, 0);
        }
    }
}
END_TEST

START_TEST(test_strerror_knows_every_code)
{
    for (int code = SHARD_ETRUNC; code >= SHARD_EPARSE; code--)
        ck_assert_str_ne(shard_strerror(code), "unknown error");
    ck_assert_str_eq(shard_strerror(0), "success");
    ck_assert_str_eq(shard_strerror(-ENOMEM), "Cannot allocate memory");
    ck_assert_str_eq(shard_strerror(-9999), "unknown error");
    ck_assert_str_eq(shard_strerror(SHARD_EPARSE - 1), "unknown error");
    ck_assert_str_eq(shard_strerror(5), "unknown error");
    ck_assert_str_eq(shard_strerror(INT32_MIN), "unknown error");
}
END_TEST

/* -------------------------------------------------------------------------------------- files */

static char *dir;
static int dir_fd = -1;

static void
dir_setup(void)
{
    dir = base_test_mkdir();
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(dir_fd, 0);
}

static void
dir_teardown(void)
{
    (void)close(dir_fd);
    base_test_rmdir(dir);
}

START_TEST(test_fs_replace_and_read)
{
    struct base_buf b = {0};
    struct shard_error err = {0};
    struct stat st;
    uint64_t size;
    char bytes[8];
    int fd;

    ck_assert_int_eq(base_replace_file(dir_fd, "a", "hello", 5, &err), 0);
    ck_assert_int_eq(base_replace_file(dir_fd, "a", "hello world", 11, &err), 0);
    ck_assert_int_eq(base_buf_append(&b, ">", 1), 0);
    ck_assert_int_eq(base_read_file(dir_fd, "a", 11, &b, &err), 0);
    ck_assert_uint_eq(b.len, 12);
    ck_assert_mem_eq(b.data, ">hello world", 12);
    ck_assert_int_eq(base_read_file(dir_fd, "a", 10, &b, &err), SHARD_ELIMIT);
    ck_assert_int_eq(base_read_file(dir_fd, "none", 10, &b, &err), -ENOENT);
    ck_assert_msg(strstr(err.text, "none") != NULL, "%s", err.text);
    ck_assert_uint_eq(b.len, 12);
    ck_assert_int_eq(base_read_file(AT_FDCWD, "/dev/zero", 200000, &b, &err), SHARD_ELIMIT);
    ck_assert_uint_eq(b.len, 12);
    ck_assert_int_eq(base_read_file(AT_FDCWD, "/proc/self/stat", 65536, &b, &err), 0);
    ck_assert_uint_gt(b.len, 12);
    ck_assert_int_eq(base_read_file(dir_fd, ".", 65536, &b, &err), -EISDIR);

    fd = openat(dir_fd, "a", O_RDONLY);
    ck_assert_int_eq(base_file_size(fd, "a", &size, &err), 0);
    ck_assert_uint_eq(size, 11);
    ck_assert_int_eq(base_pread_full(fd, bytes, 5, 6, "a", &err), 0);
    ck_assert_mem_eq(bytes, "world", 5);
    ck_assert_int_eq(base_pread_full(fd, bytes, 6, 6, "a", &err), SHARD_ETRUNC);
    ck_assert_msg(strstr(err.text, "byte 11") != NULL, "%s", err.text);
    ck_assert_int_eq(base_pread_full(fd, bytes, 1, UINT64_MAX, "a", &err), -EINVAL);
    ck_assert_int_eq(base_write_full(fd, "x", 1, "a", &err), -EBADF);
    (void)close(fd);
    ck_assert_int_eq(base_file_size(dir_fd, "d", &size, &err), -EISDIR);

    /* nothing else is left behind, also after a failure */
    ck_assert_int_eq(base_mkdir(dir_fd, "sub", &err), 0);
    ck_assert_int_eq(base_replace_file(dir_fd, "sub", "x", 1, &err), -EISDIR);
    ck_assert_int_eq(fstat(dir_fd, &st), 0);
    ck_assert_int_eq(unlinkat(dir_fd, "a", 0), 0);
    ck_assert_int_eq(unlinkat(dir_fd, "sub", AT_REMOVEDIR), 0);
    ck_assert_int_eq(rmdir(dir), 0); /* would fail if it were not empty */
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_fs_mkdir_and_sync)
{
    struct shard_error err = {0};

    ck_assert_int_eq(base_mkdir(dir_fd, "sub", &err), 0);
    ck_assert_int_eq(base_mkdir(dir_fd, "sub", &err), 0);
    ck_assert_int_eq(base_fsync_dir(dir_fd, "sub", &err), 0);
    ck_assert_int_eq(base_fsync_dir(dir_fd, ".", &err), 0);
    ck_assert_int_eq(base_fsync(dir_fd, dir, &err), 0);
    ck_assert_int_eq(base_replace_file(dir_fd, "sub/f", "x", 1, &err), 0);
    ck_assert_int_eq(base_mkdir(dir_fd, "sub/f", &err), -ENOTDIR);
    ck_assert_int_eq(base_mkdir(dir_fd, "no/such", &err), -ENOENT);
    ck_assert_int_eq(base_fsync_dir(dir_fd, "no", &err), -ENOENT);
    ck_assert_int_eq(unlinkat(dir_fd, "sub/f", 0), 0);
}
END_TEST

static void *
drain_later(void *arg)
{
    const int fd = *(int *)arg;
    char bytes[4096];
    ssize_t n;
    size_t sum = 0;

    (void)usleep(20000);
    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        sum += (size_t)n;
    return (void *)sum;
}

START_TEST(test_fs_writes_all_into_a_pipe_that_does_not_block)
{
    const size_t len = 1 << 20;
    char *data = calloc(1, len);
    pthread_t thread;
    void *sum;
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(ends[0], F_SETFL, 0), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, drain_later, &ends[0]), 0);
    ck_assert_int_eq(base_write_full(ends[1], data, len, "pipe", NULL), 0);
    (void)close(ends[1]);
    (void)pthread_join(thread, &sum);
    ck_assert_uint_eq((uintptr_t)sum, len);
    (void)close(ends[0]);
    free(data);
}
END_TEST

/* -------------------------------------------------------------------------------------- codec */

/* Bytes that zstd can do something with: words of a small vocabulary. */
static void
fill_text(char *dst, size_t len, uint64_t seed)
{
    static const char *const words[] = {"shard ", "row ", "group ", "column ", "page\n", "7 "};
    size_t used = 0;

    while (used < len) {
        const char *w = words[test_random(&seed) % BASE_ARRAY_LEN(words)];
        const size_t n = BASE_MIN(strlen(w), len - used);

        memcpy(dst + used, w, n);
        used += n;
    }
}

START_TEST(test_codec_round_trips_and_is_pure)
{
    static const size_t lens[] = {0, 1, 100, 4096, 70000, 1 << 20};
    struct base_codec *c, *fresh;
    char *src = malloc(1 << 20), *back = malloc(1 << 20);
    char *a = malloc(base_codec_bound(1 << 20)), *b = malloc(base_codec_bound(1 << 20));

    ck_assert_int_eq(base_codec_new(&c), 0);
    for (unsigned k = 0; k < 24; k++) {
        const size_t len = lens[k % 6];
        const int level = k % 5 == 4 ? 9 : k % 5 == 3 ? 1 : 3;
        int64_t n, m;

        if (k % 3 == 2)
            base_test_fill(src, len, k);
        else
            fill_text(src, len, k);
        n = base_codec_compress(c, level, a, base_codec_bound(len), src, len);
        ck_assert_int_gt(n, 0);
        /* a context with a history gives the bytes of a new one */
        ck_assert_int_eq(base_codec_new(&fresh), 0);
        m = base_codec_compress(fresh, level, b, base_codec_bound(len), src, len);
        ck_assert_int_eq(n, m);
        ck_assert_mem_eq(a, b, (size_t)n);
        /* RFC 8878, 3.1.1.1.1: bit 2 is the checksum flag, 5 to 7 tell the content size's */
        ck_assert_int_eq(a[4] & 0x04, 0);
        ck_assert_int_ne(a[4] & 0xE0, 0);
        ck_assert_int_eq(base_codec_decompress(fresh, back, len, a, (size_t)n, NULL), 0);
        ck_assert(memcmp(back, src, len) == 0);
        base_codec_free(fresh);
    }
    ck_assert_int_eq(base_codec_compress(c, 3, a, 10, src, 1 << 20), -ENOSPC);
    base_codec_free(c);
    base_codec_free(NULL);
    free(a);
    free(b);
    free(src);
    free(back);
}
END_TEST

#define RAW_LEN 3000u

struct frame {
    char raw[RAW_LEN], bytes[RAW_LEN + 1024];
    size_t len;
};

static void
make_frame(struct frame *f)
{
    struct base_codec *c;
    int64_t n;

    fill_text(f->raw, RAW_LEN, 9);
    ck_assert_int_eq(base_codec_new(&c), 0);
    n = base_codec_compress(c, 3, f->bytes, sizeof(f->bytes), f->raw, RAW_LEN);
    ck_assert_int_gt(n, 0);
    f->len = (size_t)n;
    base_codec_free(c);
}

/* Decompress from and to memory of exactly the given sizes, so that ASan sees every step aside. */
static int
decompress_exact(struct base_codec *c, const void *src, size_t len, size_t raw_len)
{
    char *from = malloc(len + 1), *to = malloc(raw_len + 1);
    int r;

    memcpy(from + 1, src, len); /* unaligned, and ends where the allocation ends */
    r = base_codec_decompress(c, to + 1, raw_len, from + 1, len, NULL);
    free(from);
    free(to);
    return r;
}

START_TEST(test_codec_refuses_hostile_frames)
{
    static const unsigned char skippable[] = {0x50, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 1, 2};
    struct frame f;
    struct base_codec *c;
    struct shard_error err = {0};
    char copy[sizeof(f.bytes)], to[RAW_LEN + 100];

    make_frame(&f);
    ck_assert_int_eq(base_codec_new(&c), 0);
    ck_assert_int_eq(decompress_exact(c, f.bytes, f.len, RAW_LEN), 0);
    ck_assert_int_eq(decompress_exact(c, f.bytes, f.len, RAW_LEN - 1), SHARD_ECORRUPT);
    ck_assert_int_eq(decompress_exact(c, f.bytes, f.len, RAW_LEN + 1), SHARD_ECORRUPT);
    ck_assert_int_eq(decompress_exact(c, f.bytes, f.len, 0), SHARD_ECORRUPT);
    for (size_t len = 0; len < f.len; len++)
        ck_assert_int_eq(decompress_exact(c, f.bytes, len, RAW_LEN), SHARD_ECORRUPT);
    /* any flipped bit: an error, or exactly raw_len bytes; never anything outside of them */
    for (size_t bit = 0; bit < 8 * f.len; bit++) {
        memcpy(copy, f.bytes, f.len);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        (void)decompress_exact(c, copy, f.len, RAW_LEN);
    }
    /* one byte, one frame, one skippable frame too many */
    memcpy(copy, f.bytes, f.len);
    copy[f.len] = 0;
    ck_assert_int_eq(decompress_exact(c, copy, f.len + 1, RAW_LEN), SHARD_ECORRUPT);
    memcpy(copy + f.len, skippable, sizeof(skippable));
    ck_assert_int_eq(decompress_exact(c, copy, f.len + sizeof(skippable), RAW_LEN),
                     SHARD_ECORRUPT);
    ck_assert_int_eq(decompress_exact(c, skippable, sizeof(skippable), 0), SHARD_ECORRUPT);
    ck_assert_int_eq(base_codec_decompress(c, to, RAW_LEN + 5, f.bytes, f.len, &err),
                     SHARD_ECORRUPT);
    ck_assert_str_eq(err.text, "zstd frame holds 3000 bytes instead of 3005");
    /* it still works */
    ck_assert_int_eq(base_codec_decompress(c, to, RAW_LEN, f.bytes, f.len, &err), 0);
    ck_assert_mem_eq(to, f.raw, RAW_LEN);
    base_codec_free(c);
}
END_TEST

/* A frame whose header says nothing about its size, as streams have it. */
START_TEST(test_codec_refuses_frames_of_unknown_size)
{
    struct frame f;
    struct base_codec *c;
    ZSTD_CCtx *z = ZSTD_createCCtx();
    ZSTD_inBuffer in = {f.raw, RAW_LEN, 0};
    ZSTD_outBuffer out = {f.bytes, sizeof(f.bytes), 0};

    fill_text(f.raw, RAW_LEN, 1);
    ck_assert(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0)));
    ck_assert_uint_eq(ZSTD_compressStream2(z, &out, &in, ZSTD_e_end), 0);
    (void)ZSTD_freeCCtx(z);
    ck_assert_int_eq(base_codec_new(&c), 0);
    ck_assert_int_eq(decompress_exact(c, f.bytes, out.pos, RAW_LEN), SHARD_ECORRUPT);
    base_codec_free(c);
}
END_TEST

/* -------------------------------------------------------------------------------------- clock */

START_TEST(test_clock)
{
    const uint64_t t0 = base_now_ns(), cpu0 = base_cpu_ns(), thread0 = base_thread_cpu_ns();
    static volatile uint8_t touched[8 << 20]; /* what a forked test touches is its own, and counts */
    struct timespec d;

    for (size_t i = 0; i < sizeof(touched); i += 1024) /* not memset(): clang leaves that out */
        touched[i] = 1;
    while (base_thread_cpu_ns() - thread0 < 5000000)
        ;
    ck_assert_uint_ge(base_now_ns() - t0, 5000000);
    ck_assert_uint_ge(base_cpu_ns() - cpu0, 4000000);
    ck_assert_uint_ge(base_peak_rss(), sizeof(touched));
    d = base_deadline(1999);
    ck_assert_int_lt(d.tv_nsec, 1000000000);
    ck_assert_uint_ge((uint64_t)d.tv_sec * 1000000000u + (uint64_t)d.tv_nsec,
                      t0 + 1999000000u);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("base");
    TCase *plain = tcase_create("memory and numbers"), *files = tcase_create("files");
    TCase *codec = tcase_create("codec");

    tcase_add_test(plain, test_arith_refuses_overflow);
    tcase_add_test(plain, test_buf_keeps_content_alignment_and_slack);
    tcase_add_test(plain, test_buf_refuses_what_cannot_fit);
    tcase_add_test(plain, test_buf_of_nothing_has_memory);
    tcase_add_test(plain, test_buf_exact_printf_zero);
    tcase_add_test(plain, test_budget_never_passes_its_limit);
    tcase_add_test(plain, test_budget_is_shared_by_threads);
    tcase_add_test(plain, test_cursor_knows_its_end);
    tcase_add_test(plain, test_parse_size);
    tcase_add_test(plain, test_parse_u64);
    tcase_add_test(plain, test_parse_double);
    tcase_add_test(plain, test_hash_known_values_and_hex);
    tcase_add_test(plain, test_hash_is_the_same_at_every_length_and_place);
#if defined(__x86_64__) && defined(__GNUC__)
    tcase_add_test(plain, test_hash_leaves_no_vectors_in_use);
#endif
    tcase_add_test(plain, test_unhex_takes_32_digits_only);
    tcase_add_test(plain, test_hash_sum_carries);
    tcase_add_test(plain, test_fail_writes_one_sentence);
    tcase_add_test(plain, test_fail_cuts_between_characters);
    tcase_add_test(plain, test_strerror_knows_every_code);
    tcase_add_test(plain, test_clock);
    suite_add_tcase(suite, plain);
    tcase_add_checked_fixture(files, dir_setup, dir_teardown);
    tcase_add_test(files, test_fs_replace_and_read);
    tcase_add_test(files, test_fs_mkdir_and_sync);
    tcase_add_test(files, test_fs_writes_all_into_a_pipe_that_does_not_block);
    suite_add_tcase(suite, files);
    tcase_set_timeout(codec, 60);
    tcase_add_test(codec, test_codec_round_trips_and_is_pure);
    tcase_add_test(codec, test_codec_refuses_hostile_frames);
    tcase_add_test(codec, test_codec_refuses_frames_of_unknown_size);
    suite_add_tcase(suite, codec);
    return test_run(suite);
}
