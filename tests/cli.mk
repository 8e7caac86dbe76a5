# Tests that run the programs as a user does. Python; each script prints its cases.
TEST_EXTENSIONS = .py
PY_LOG_COMPILER = $$PYTHON -B
cli_scripts = \
	tests/cli/check_crash.py \
	tests/cli/check_damage.py \
	tests/cli/check_format.py \
	tests/cli/check_get.py \
	tests/cli/check_golden.py \
	tests/cli/check_ingest.py \
	tests/cli/check_large.py \
	tests/cli/check_recover.py \
	tests/cli/check_roundtrip.py \
	tests/cli/check_stats.py \
	tests/cli/check_types.py \
	tests/cli/check_unknown.py \
	tests/cli/check_where.py
TESTS += $(cli_scripts)
EXTRA_DIST += $(cli_scripts) tests/cli/forge.py tests/cli/util.py

# Benchmarks of the programs: anybody can run them; no test does.
EXTRA_DIST += tests/bench/ingest_jobs.sh
