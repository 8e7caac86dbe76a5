# tools/shardtool/: the program, one file per verb.
