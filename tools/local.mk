# tools/: the ingest library and the two programs.
include tools/ingest/local.mk
include tools/shardtool/local.mk
include tools/shardtrain/local.mk
