#include "config.h"

#include "shardfmt/utf8.h"

#include <stdint.h>

bool
fmt_utf8_ok(const char *text, size_t len)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000}; /* by number of bytes that follow */
    const unsigned char *p = (const unsigned char *)text, *const end = p + len;

    while (p < end) {
        const unsigned char c = *p++;
        const unsigned n = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : 4;
        uint32_t v = n ? c & (0x3fu >> n) : c;

        if (n == 4 || (size_t)(end - p) < n)
            return false;
        for (unsigned i = 0; i < n; i++, p++) {
            if ((*p & 0xc0) != 0x80)
                return false;
            v = v << 6 | (*p & 0x3fu);
        }
        if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
            return false;
    }
    return true;
}
