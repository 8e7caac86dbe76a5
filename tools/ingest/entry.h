/* Making entries and judging their names: shared by the walker and the list of input files. */
#ifndef INGEST_ENTRY_H
#define INGEST_ENTRY_H

#include "tools/ingest/source.h"

/* A name in our form: leading "./" and "/" off, bytes that are not UTF-8 and control characters
 * percent-escaped. Names are only names: nothing is ever written to them, so ".." may stay.
 * malloc()ed; NULL for want of memory. */
char *ingest_name_clean(const char *name);

/* A reference for the caller, or NULL for want of memory. Strings are copied. */
struct ingest_entry *ingest_entry_new(const char *file, const char *chain, const char *path,
                                      int64_t size, bool unpacked);

/* What --include and --exclude say of an innermost path. */
bool ingest_path_wanted(const struct ingest_walk_opts *opts, const char *path);

#endif
