# tools/ingest/: raw corpora to datasets; the only user of libarchive and of JSON parsing.
