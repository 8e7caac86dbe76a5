/* What the programs show: JSON lines, the bar on a terminal, plain lines elsewhere. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/compiler.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "tests/base_util.h"
#include "tests/suite.h"

/* ------------------------------------------------------------------------------ for people */

struct amount_case {
    uint64_t n;
    const char *want;
};

START_TEST(test_human_bytes)
{
    static const struct amount_case cases[] = {
        {0, "0 B"},
        {999, "999 B"},
        {1000, "1.0 kB"},
        {312000, "312 kB"},
        {9949, "9.9 kB"},
        {9950, "10 kB"},
        {999499, "999 kB"},
        {999500, "1.0 MB"},
        {1400000000, "1.4 GB"},
        {60788678, "61 MB"},
        {UINT64_MAX, "18 EB"},
    };
    char text[16];

    for (unsigned i = 0; i < BASE_ARRAY_LEN(cases); i++)
        ck_assert_str_eq(base_human_bytes(cases[i].n, text), cases[i].want);
}
END_TEST

START_TEST(test_human_count)
{
    static const struct amount_case cases[] = {
        {0, "0"},
        {999, "999"},
        {1000, "1,000"},
        {123456, "123,456"},
        {1657719, "1,657,719"},
        {UINT64_MAX, "18,446,744,073,709,551,615"},
    };
    char text[32];

    for (unsigned i = 0; i < BASE_ARRAY_LEN(cases); i++)
        ck_assert_str_eq(base_human_count(cases[i].n, text), cases[i].want);
}
END_TEST

/* -------------------------------------------------------------------------------- JSON lines */

START_TEST(test_report_is_one_line_in_order)
{
    const struct base_hash128 h = {0x0123456789abcdefu, 0xfedcba9876543210u};
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    json_t *obj = json_object();

    ck_assert_int_eq(json_object_set_new(obj, "zeta", json_integer(3)), 0);
    ck_assert_int_eq(json_object_set_new(obj, "alpha", json_string("a\nb\"\xc3\xa4")), 0);
    ck_assert_int_eq(json_object_set_new(obj, "h64", base_report_hash64(0xab)), 0);
    ck_assert_int_eq(json_object_set_new(obj, "h128", base_report_hash128(h)), 0);
    ck_assert_int_eq(json_object_set_new(obj, "none", json_null()), 0);
    ck_assert_int_eq(base_report_line(f, obj, NULL), 0);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_str_eq(text, "{\"zeta\":3,\"alpha\":\"a\\nb\\\"\xc3\xa4\",\"h64\":\"00000000000000ab\","
                           "\"h128\":\"fedcba98765432100123456789abcdef\",\"none\":null}\n");
    free(text);
    json_decref(obj);
}
END_TEST

START_TEST(test_report_says_when_it_cannot_write)
{
    FILE *full = fopen("/dev/full", "w");
    struct shard_error err = {0};
    json_t *obj = json_object();

    ck_assert_ptr_nonnull(full);
    ck_assert_int_eq(base_report_line(full, obj, &err), -ENOSPC);
    ck_assert_msg(strstr(err.text, "No space left") != NULL, "%s", err.text);
    (void)fclose(full);
    ck_assert_int_eq(base_report_line(stdout, NULL, &err), -EINVAL);
    json_decref(obj);
}
END_TEST

/* ---------------------------------------------------------------------------------- progress */

static int saved_stderr = -1;

/* From here standard error goes to fd. */
static void
capture(int fd)
{
    saved_stderr = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
}

static void
capture_end(void)
{
    ck_assert_int_ge(dup2(saved_stderr, STDERR_FILENO), 0);
    (void)close(saved_stderr);
}

static void
read_all(int fd, char *text, size_t cap)
{
    size_t len = 0;
    ssize_t n;

    while (len + 1 < cap && (n = read(fd, text + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
}

/* A run of ms milliseconds with an update every 2 ms, into a pipe; what came out into text. */
static void
run_plain(enum base_progress_mode mode, unsigned ms, char *text, size_t cap)
{
    struct base_progress *p;
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    capture(ends[1]);
    p = base_progress_new(mode, "ingest", "rows", true, 1000000);
    for (unsigned t = 0; t <= ms; t += 2) {
        base_progress_update(p, (uint64_t)1000000 * t / ms, "a\033[2Jb");
        (void)usleep(2000);
    }
    base_progress_clear(p);
    base_progress_finish(p);
    capture_end();
    (void)close(ends[1]);
    read_all(ends[0], text, cap);
    (void)close(ends[0]);
}

static unsigned
count_char(const char *text, char c)
{
    unsigned n = 0;

    for (; *text != '\0'; text++)
        n += *text == c;
    return n;
}

START_TEST(test_progress_without_a_terminal)
{
    char text[4096];

    run_plain(BASE_PROGRESS_NEVER, 20, text, sizeof(text));
    ck_assert_str_eq(text, "");
    run_plain(BASE_PROGRESS_AUTO, 50, text, sizeof(text)); /* short: only the last line */
    ck_assert_msg(strncmp(text, "ingest: 1.0 MB in 0.", 20) == 0, "%s", text);
    ck_assert_uint_eq(count_char(text, '\n'), 1);
    run_plain(BASE_PROGRESS_ALWAYS, 1300, text, sizeof(text));
    ck_assert_uint_ge(count_char(text, '\n'), 2);
    ck_assert_uint_eq(count_char(text, '\r'), 0);
    ck_assert_uint_eq(count_char(text, '\033'), 0); /* of the note, too */
    ck_assert_msg(strncmp(text, "ingest  ", 8) == 0 && strstr(text, " of 1.0 MB") != NULL, "%s",
                  text);
}
END_TEST

/* Columns that a line takes on the terminal: characters up to the escape that ends it. */
static unsigned
columns_of(const char *line, size_t len)
{
    unsigned n = 0;

    for (size_t i = 0; i < len && line[i] != '\033'; i++)
        n += ((unsigned char)line[i] & 0xC0) != 0x80;
    return n;
}

START_TEST(test_progress_on_a_terminal)
{
    static const unsigned widths[] = {120, 60, 30, 12, 2, 1};
    const struct winsize ws = {.ws_row = 24, .ws_col = (unsigned short)widths[_i]};
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    struct base_progress *p;
    unsigned n_drawn = 0;
    char text[65536];
    uint64_t t0, ms;
    int slave;

    if (master < 0) { /* a bare chroot */
        printf("no pseudo-terminals here: the bar was not tested\n");
        return;
    }
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(slave, 0);
    ck_assert_int_eq(ioctl(slave, TIOCSWINSZ, &ws), 0);
    ck_assert_int_eq(setenv("TERM", "xterm", 1), 0);
    capture(slave);
    t0 = base_now_ns();
    p = base_progress_new(BASE_PROGRESS_AUTO, "ingest", "rows", false, 300);
    for (unsigned i = 0; i <= 300; i++) {
        base_progress_update(p, i, "man/c\xc3\xb6s/\xe6\x97\xa5\xe6\x9c\xac\n.1.gz");
        (void)usleep(1500);
    }
    base_progress_finish(p);
    ms = (base_now_ns() - t0) / 1000000;
    capture_end();
    ck_assert_int_eq(fcntl(master, F_SETFL, O_NONBLOCK), 0);
    read_all(master, text, sizeof(text));
    (void)close(slave);
    (void)close(master);

    for (const char *line = strtok(text, "\r\n"); line != NULL; line = strtok(NULL, "\r\n")) {
        const char *end = strchr(line, '\033');

        if (strncmp(line, "\033[Kingest: 300 rows in ", 22) == 0)
            continue;
        if (end == NULL || end == line)
            continue;
        n_drawn++;
        ck_assert_msg(columns_of(line, strlen(line)) < widths[_i] || widths[_i] == 1,
                      "%u columns: %s", widths[_i], line);
        ck_assert_str_eq(end, "\033[K");
    }
    ck_assert_uint_le(n_drawn, ms / 100 + 1);
    if (widths[_i] >= 12)
        ck_assert_uint_ge(n_drawn, 3);
}
END_TEST

START_TEST(test_progress_accepts_null_and_odd_numbers)
{
    struct base_progress *p;
    int null = open("/dev/null", O_WRONLY);

    base_progress_update(NULL, 1, NULL);
    base_progress_set_total(NULL, 1);
    base_progress_clear(NULL);
    base_progress_finish(NULL);
    capture(null);
    p = base_progress_new(BASE_PROGRESS_ALWAYS, NULL, NULL, false, 0);
    base_progress_update(p, UINT64_MAX, NULL);
    base_progress_set_total(p, 5);
    (void)usleep(1010000);
    base_progress_update(p, UINT64_MAX, ""); /* more than the total */
    base_progress_update(p, 3, "");          /* and back */
    base_progress_finish(p);
    capture_end();
    (void)close(null);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("report");
    TCase *people = tcase_create("numbers"), *json = tcase_create("json");
    TCase *progress = tcase_create("progress");

    tcase_add_test(people, test_human_bytes);
    tcase_add_test(people, test_human_count);
    suite_add_tcase(suite, people);
    tcase_add_test(json, test_report_is_one_line_in_order);
    tcase_add_test(json, test_report_says_when_it_cannot_write);
    suite_add_tcase(suite, json);
    tcase_set_timeout(progress, 30);
    tcase_add_test(progress, test_progress_without_a_terminal);
    tcase_add_loop_test(progress, test_progress_on_a_terminal, 0, 6);
    tcase_add_test(progress, test_progress_accepts_null_and_odd_numbers);
    suite_add_tcase(suite, progress);
    return test_run(suite);
}
