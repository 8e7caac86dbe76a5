# docs/: specifications, architecture, man pages, examples.
dist_man_MANS += docs/shardtool.1
