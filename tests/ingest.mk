# Tests of ingest.
