/* T-like text for benchmarks, deterministic: rows of AG News's test part in which 30% of the words
 * are replaced by words drawn from the whole of it, as JSON lines {"text": ..., "label": ...}.
 *
 *     make_text BYTES-OF-TEXT test.csv >t.jsonl
 *
 * No row is a repetition, so that no compressor sees the base come round again within its window,
 * at zstd's levels up to 3. */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/random.h"

#define BASE_MAX  (8u << 20)
#define ROWS_MAX  10000u
#define WORDS_MAX 1000000u

static char base[BASE_MAX];
static struct { char *text; char label; } rows[ROWS_MAX];
static char *words[WORDS_MAX]; /* each ends at a blank or NUL */
static uint32_t n_rows, n_words;

/* "4","title","text" into text without what JSON would have to escape. */
static void
take_line(char *line)
{
    char *to = line, *from;

    if (n_rows == ROWS_MAX || line[0] != '"' || !isdigit((unsigned char)line[1]))
        return;
    rows[n_rows].label = line[1];
    for (from = line + 4; *from; from++) {
        char c = *from;

        if (c == '"' || c == '\\' || (unsigned char)c < ' ')
            c = ' ';
        if (c == ' ' && (to == line || to[-1] == ' '))
            continue;
        *to++ = c;
    }
    *to = '\0';
    rows[n_rows++].text = line;
}

static size_t
word_len(const char *w)
{
    return strcspn(w, " ");
}

static void
find_words(void)
{
    uint32_t i;
    char *w;

    for (i = 0; i < n_rows; i++)
        for (w = rows[i].text; *w && n_words < WORDS_MAX;) {
            words[n_words++] = w;
            w += word_len(w);
            w += *w == ' ';
        }
}

static size_t
print_row(uint64_t *state)
{
    const uint32_t i = (uint32_t)(test_random(state) % n_rows);
    const char *w;
    size_t len = 0;

    fputs("{\"text\": \"", stdout);
    for (w = rows[i].text; *w;) {
        const char *out = test_random(state) % 10 < 3 ? words[test_random(state) % n_words] : w;

        if (len > 0)
            len += fwrite(" ", 1, 1, stdout);
        len += fwrite(out, 1, word_len(out), stdout);
        w += word_len(w);
        w += *w == ' ';
    }
    printf("\", \"label\": %c}\n", rows[i].label);
    return len;
}

int
main(int argc, char **argv)
{
    uint64_t state = 1, want, done = 0;
    char *line, *save = NULL;
    size_t len;
    FILE *f;

    if (argc != 3 || (f = fopen(argv[2], "r")) == NULL) {
        fputs("usage: make_text BYTES test.csv\n", stderr);
        return 2;
    }
    want = strtoull(argv[1], NULL, 10);
    len = fread(base, 1, sizeof(base) - 1, f);
    (void)fclose(f);
    base[len] = '\0';
    for (line = strtok_r(base, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        take_line(line);
    find_words();
    if (n_words == 0) {
        fputs("make_text: no rows in it\n", stderr);
        return 1;
    }
    while (done < want)
        done += print_row(&state);
    return ferror(stdout) ? 1 : 0;
}
