# Tests of loader.
