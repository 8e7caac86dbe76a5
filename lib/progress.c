/* A terminal gets one line, redrawn at most ten times per second:
 *
 *     ingest  37% [========>              ]  1.2 GB of 3.4 GB  140 MB/s  0:15 left  man/cs
 *
 * Anything else (a log file, CI) gets plain lines. The rate is that of the last 5 to 10 seconds,
 * so that the time left follows what happens now. Failing to show progress is never an error. */
#include "config.h"
#include "lib/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/arith.h"
#include "lib/clock.h"
#include "lib/compiler.h"

#define SECOND_NS      ((uint64_t)1000000000)
#define BAR_STEP_NS    (SECOND_NS / 10)
#define PLAIN_STEP_NS  (10 * SECOND_NS)
#define RATE_SPAN_NS   (5 * SECOND_NS)
#define LINE_MAX_BYTES 512
#define COLUMNS_MAX    200 /* of the bar's line: beyond that it is not easier to read */

struct progress_point {
    uint64_t time_ns, done;
};

struct base_progress {
    bool terminal;    /* redraw one line; else plain lines */
    bool bytes;
    bool drawn;       /* a bar is on the terminal's line */
    uint64_t step_ns; /* between two drawings */
    uint64_t total, done;
    uint64_t start_ns, next_ns;
    struct progress_point old, mid; /* the rate is measured from old; mid becomes old */
    char label[48], unit[24], note[160];
};

/* ----------------------------------------------------------------------------------- numbers */

char *
base_human_bytes(uint64_t bytes, char ret[16])
{
    static const char units[][3] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes / 1000;
    unsigned i = 0;

    if (bytes < 1000) {
        (void)snprintf(ret, 16, "%u B", (unsigned)bytes);
        return ret;
    }
    /* 999.5 would be printed as 1000 */
    while (v >= 999.5 && i + 1 < BASE_ARRAY_LEN(units)) {
        v /= 1000;
        i++;
    }
    (void)snprintf(ret, 16, v < 9.95 ? "%.1f %s" : "%.0f %s", v, units[i]);
    return ret;
}

char *
base_human_count(uint64_t n, char ret[32])
{
    char digits[24];
    const int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
    char *p = ret;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *p++ = ',';
        *p++ = digits[i];
    }
    *p = '\0';
    return ret;
}

/* "0:07", "1:02:33" */
static void
human_time(uint64_t seconds, char ret[24])
{
    if (seconds > 99 * 3600)
        (void)snprintf(ret, 24, "%" PRIu64 " h", seconds / 3600);
    else if (seconds >= 3600)
        (void)snprintf(ret, 24, "%u:%02u:%02u", (unsigned)(seconds / 3600),
                       (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
    else
        (void)snprintf(ret, 24, "%u:%02u", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
}

/* An amount, without its unit where that is a counted thing. */
static void
amount(const struct base_progress *p, uint64_t n, char ret[32])
{
    if (p->bytes)
        (void)base_human_bytes(n, ret);
    else
        (void)base_human_count(n, ret);
}

/* ------------------------------------------------------------------------------------- lines */

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

static void BASE_PRINTF(2, 3)
line_add(struct line *l, const char *fmt, ...)
{
    const size_t room = sizeof(l->text) - l->len;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(l->text + l->len, room, fmt, ap);
    va_end(ap);
    if (n > 0)
        l->len += BASE_MIN((size_t)n, room - 1);
}

/* Copy text in at most columns columns: control characters become '?', and what is not ASCII
 * counts double, as some of it is. */
static void
copy_clean(char *dst, size_t cap, const char *src, size_t columns)
{
    size_t len = 0, used = 0;

    while (*src != '\0') {
        const unsigned char lead = (unsigned char)*src;
        const size_t n = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        const size_t width = lead < 0x80 ? 1 : 2;

        if (used + width > columns || len + n + 1 > cap || strnlen(src, n) < n)
            break;
        memcpy(dst + len, src, n);
        if (lead < 0x20 || lead == 0x7F || (lead >= 0x80 && lead < 0xC0))
            dst[len] = '?';
        len += n;
        used += width;
        src += n;
    }
    dst[len] = '\0';
}

static void
write_err(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static size_t
terminal_columns(void)
{
    struct winsize ws;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) != 0 || ws.ws_col == 0)
        return 80;
    return BASE_MIN((size_t)ws.ws_col, (size_t)COLUMNS_MAX);
}

/* ----------------------------------------------------------------------------------- drawing */

/* What is absurdly large stays so: a conversion that does not fit would be undefined. */
static uint64_t
whole(double v)
{
    return v < 1e18 ? (uint64_t)v : (uint64_t)1e18;
}

/* Things per second between two points. */
static double
rate_between(uint64_t t0, uint64_t t1, uint64_t d0, uint64_t d1)
{
    if (t1 <= t0 || d1 <= d0)
        return 0;
    return (double)(d1 - d0) * 1e9 / (double)(t1 - t0);
}

/* Move the start of the rate's span along. */
static void
rate_step(struct base_progress *p, uint64_t now)
{
    if (now - p->mid.time_ns < RATE_SPAN_NS)
        return;
    p->old = p->mid;
    p->mid = (struct progress_point){now, p->done};
}

static void
add_rate(struct line *l, const struct base_progress *p, double rate)
{
    char text[32];

    if (rate < 10 && !p->bytes) {
        line_add(l, "  %.1f %s/s", rate, p->unit);
        return;
    }
    amount(p, whole(rate), text);
    line_add(l, "  %s%s%s/s", text, p->bytes ? "" : " ", p->bytes ? "" : p->unit);
}

/* Everything to the right of the bar, but the note. */
static void
add_facts(struct line *l, const struct base_progress *p, uint64_t now)
{
    const double rate = rate_between(p->old.time_ns, now, p->old.done, p->done);
    char done[32], total[32], left[24];

    amount(p, p->done, done);
    line_add(l, "  %s", done);
    if (p->total > 0) {
        amount(p, p->total, total);
        line_add(l, " of %s", total);
    }
    if (!p->bytes)
        line_add(l, " %s", p->unit);
    if (rate > 0 || now - p->start_ns > SECOND_NS) /* none is known at the very start */
        add_rate(l, p, rate);
    if (p->total > p->done && rate > 0) {
        human_time(whole((double)(p->total - p->done) / rate) + 1, left);
        line_add(l, "  %s left", left);
    } else if (p->total == 0) {
        human_time((now - p->start_ns) / SECOND_NS, left);
        line_add(l, "  %s", left);
    }
}

static unsigned
percent(const struct base_progress *p)
{
    return p->done >= p->total ? 100 : (unsigned)base_muldiv_u64(p->done, 100, p->total);
}

/* "  37% [=====>    ]" with a bar of width columns inside. */
static void
add_bar(struct line *l, const struct base_progress *p, size_t width)
{
    const size_t filled = p->done >= p->total
                              ? width
                              : (size_t)base_muldiv_u64(p->done, width, p->total);

    line_add(l, " %3u%%", percent(p));
    if (width < 4)
        return;
    line_add(l, " [");
    for (size_t i = 0; i < width; i++)
        line_add(l, "%c", i + 1 < filled || filled == width ? '=' : i < filled ? '>' : ' ');
    line_add(l, "]");
}

static void
draw_bar(struct base_progress *p, uint64_t now)
{
    const size_t columns = terminal_columns() - 1; /* the last one would wrap on some terminals */
    struct line facts = {.len = 0}, out = {.len = 0};
    char fitted[LINE_MAX_BYTES - 8];

    add_facts(&facts, p, now);
    line_add(&out, "%s", p->label);
    if (p->total > 0) {
        const size_t fixed = out.len + facts.len + 8;

        add_bar(&out, p, BASE_MIN(columns > fixed ? columns - fixed : 0, 30u));
    }
    line_add(&out, "%s", facts.text);
    if (p->note[0] != '\0')
        line_add(&out, "  %s", p->note);
    copy_clean(fitted, sizeof(fitted), out.text, columns);
    out.len = 0;
    line_add(&out, "\r%s\033[K", fitted);
    write_err(out.text, out.len);
    p->drawn = true;
}

static void
draw_plain(struct base_progress *p, uint64_t now)
{
    struct line out = {.len = 0};

    line_add(&out, "%s", p->label);
    if (p->total > 0)
        line_add(&out, " %3u%%", percent(p));
    add_facts(&out, p, now);
    if (p->note[0] != '\0')
        line_add(&out, "  %s", p->note);
    line_add(&out, "\n");
    write_err(out.text, out.len);
}

/* ----------------------------------------------------------------------------------- the API */

static bool
is_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
}

struct base_progress *
base_progress_new(enum base_progress_mode mode, const char *label, const char *unit, bool bytes,
                  uint64_t total)
{
    struct base_progress *p;

    if (mode == BASE_PROGRESS_NEVER)
        return NULL;
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->terminal = is_terminal();
    p->bytes = bytes;
    p->total = total;
    p->step_ns = p->terminal                      ? BAR_STEP_NS
                 : mode == BASE_PROGRESS_ALWAYS   ? SECOND_NS
                                                  : PLAIN_STEP_NS;
    p->start_ns = base_now_ns();
    p->next_ns = p->start_ns + (p->terminal ? 0 : p->step_ns);
    p->old = p->mid = (struct progress_point){p->start_ns, 0};
    copy_clean(p->label, sizeof(p->label), label != NULL ? label : "", sizeof(p->label));
    copy_clean(p->unit, sizeof(p->unit), unit != NULL ? unit : "", sizeof(p->unit));
    return p;
}

void
base_progress_update(struct base_progress *p, uint64_t done, const char *note)
{
    uint64_t now;

    if (p == NULL)
        return;
    p->done = done;
    now = base_now_ns();
    if (now < p->next_ns)
        return;
    p->next_ns = now + p->step_ns;
    copy_clean(p->note, sizeof(p->note), note != NULL ? note : "", sizeof(p->note));
    if (p->terminal)
        draw_bar(p, now);
    else
        draw_plain(p, now);
    rate_step(p, now);
}

void
base_progress_set_total(struct base_progress *p, uint64_t total)
{
    if (p != NULL)
        p->total = total;
}

void
base_progress_clear(struct base_progress *p)
{
    if (p == NULL || !p->drawn)
        return;
    write_err("\r\033[K", 4);
    p->drawn = false;
    p->next_ns = 0;
}

void
base_progress_finish(struct base_progress *p)
{
    struct line out = {.len = 0};
    char done[32];
    uint64_t now;

    if (p == NULL)
        return;
    now = base_now_ns();
    base_progress_clear(p);
    if (p->done == 0) { /* nothing came of it, and a message says why */
        free(p);
        return;
    }
    amount(p, p->done, done);
    line_add(&out, "%s: %s%s%s in %.1f s", p->label, done, p->bytes ? "" : " ",
             p->bytes ? "" : p->unit, (double)(now - p->start_ns) / 1e9);
    add_rate(&out, p, rate_between(p->start_ns, now, 0, p->done));
    line_add(&out, "\n");
    write_err(out.text, out.len);
    free(p);
}
