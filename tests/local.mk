# tests/: one fragment per layer, so that each is edited by whoever works on the layer.
include tests/base.mk
include tests/fmt.mk
include tests/ingest.mk
include tests/loader.mk
include tests/train.mk
include tests/cli.mk
