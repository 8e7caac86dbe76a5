# tools/shardtrain/: the program, one file per verb.
