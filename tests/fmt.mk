# Tests of fmt.
