"""How fast the pipeline is, compared with other libraries and plain loops: `make bench` writes docs/benchmarks.md."""
