"""How fast the pipeline is, beside other libraries, plain loops and the machine's limit: `make bench`.

Each part is a file here with a function `measure`; bench.py runs them, page.py and plot.py write docs/benchmarks.md from the
tables that they leave.
"""
