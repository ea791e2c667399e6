"""Load and latency, beside the tests: ratios within one interleaved run."""
