"""The paper's claims.

Input: the evaluations of all cells, and the rounds of the timing.
Output: <results>/claims.parquet, .md, .html, what the paper claims and what our figures say of it.
"""


use rule table1 as claims with:
    input:
        code=code("claims"),
        evaluations=EVALUATIONS,
        timing_blocks="<results>/timing_blocks.parquet",
    output:
        "<results>/claims.parquet",
        "<results>/claims.md",
        report(
            "<results>/claims.html",
            caption="../report/claims.rst",
            category="Claims",
            labels={"result": "Claims and verdicts"},
        ),
    log:
        "<results>/logs/claims.log",
    benchmark:
        "<results>/benchmarks/claims.tsv"
