/* Things that this build does not know: how messages about them end. */
#ifndef FMT_NEWER_H
#define FMT_NEWER_H

/* Behind the sentence, as a literal: what is likely, and what to do. */
#define FMT_NEWER "; was it written by a newer Shardline? Read it with that one"

#endif
