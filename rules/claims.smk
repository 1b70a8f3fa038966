"""The paper's claims.

Input: the evaluations of all cells, and the rounds of the timing.
Output: <results>/claims.parquet, .md, .html, what the paper claims and what our figures say of it.
"""


use rule table1 as claims with:
    input:
        script="src/claims.py",
        code=code("claims"),
        evaluations=EVALUATIONS,
        timing_blocks="<results>/timing_blocks.parquet",
    output:
        page("claims", "Claims", "Claims and verdicts"),
    log:
        "<results>/logs/claims.log",
