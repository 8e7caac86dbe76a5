# Written by tests/make_golden.
golden_files = \
	tests/golden/numbers-none.shard \
	tests/golden/numbers-none-nullable.shard \
	tests/golden/numbers-zstd.shard \
	tests/golden/numbers-zstd-nullable.shard \
	tests/golden/others-none.shard \
	tests/golden/others-none-nullable.shard \
	tests/golden/others-zstd.shard \
	tests/golden/others-zstd-nullable.shard \
	tests/golden/pages-none.shard \
	tests/golden/pages-zdict.shard \
	tests/golden/pages-zdict-nullable.shard \
	tests/golden/index-none.shard \
	tests/golden/index-zstd-nullable.shard \
	tests/golden/large-zstd-nullable.shard \
	tests/golden/empty.shard \
	tests/golden/tiny.shard \
	tests/golden/dataset/roots/00000000000000000001.root \
	tests/golden/dataset/roots/00000000000000000002.root \
	tests/golden/dataset/segments/5b045eaf3c08907af4a999a4de07a197.seg \
	tests/golden/dataset/segments/b294ce8b57aa86219260d4d612714ff4.seg \
	tests/golden/dataset/shards/test-122c11695577dd77ae7b490e30fbe74e.shard \
	tests/golden/dataset/shards/train-1307df52dbab79af68f5acf176d87201.shard \
	tests/golden/dataset/shards/train-8250891a8cf9c8284bd10ab8d8cad1ea.shard
