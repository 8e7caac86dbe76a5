# Tests that run the programs as a user does. Python; each script prints its cases.
TEST_EXTENSIONS = .py
PY_LOG_COMPILER = $$PYTHON -B
cli_scripts = \
	tests/cli/check_crash.py \
	tests/cli/check_damage.py \
	tests/cli/check_faults.py \
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

# Makes calls of the system fail; a sanitizer's build cannot have it, and gets an empty file.
check_DATA = tests/fault_inject.so
EXTRA_DIST += tests/fault_inject.c
CLEANFILES += tests/fault_inject.so
tests/fault_inject.so: $(srcdir)/tests/fault_inject.c
	@$(MKDIR_P) tests
	$(AM_V_CC)case '$(CC) $(CFLAGS)' in *-fsanitize*) : >$@ ;; \
	*) $(CC) $(CFLAGS) -fno-builtin -shared -fPIC -o $@ $(srcdir)/tests/fault_inject.c ;; esac

# Benchmarks of the programs: anybody can run them; no test does.
EXTRA_DIST += tests/bench/ingest_jobs.sh
