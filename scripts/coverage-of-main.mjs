/**
 * Loaded before each test file: coverage is counted in the file's own process, not in the workers and
 * processes that it starts. The tests start thousands of workers; to count in them would make the threads up
 * to half as slow again, and leave two gigabytes of figures to add up. This process counts since it started;
 * those that come after it look for the variable.
 */
delete process.env.NODE_V8_COVERAGE;
