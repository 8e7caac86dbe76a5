# docs/: specifications, architecture, man pages, examples.
dist_man_MANS += docs/shardtool.1
dist_doc_DATA += README.md docs/architecture.md docs/format.md docs/order.md \
	docs/performance.md docs/testing.md
