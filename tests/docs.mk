# Tests that the documents tell the truth about the tree and the programs.
EXTRA_DIST += tests/check_docs.sh
TESTS += tests/check_docs.sh
