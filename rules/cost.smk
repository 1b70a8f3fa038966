"""What the run took.

Input: the histories of all trainings, and the benchmark files of all jobs, which Snakemake does not count as outputs; the
jobs' results are inputs, so that every benchmark file exists.
Output: <results>/cost.parquet, .md, .html.
"""


use rule table1 as cost with:
    input:
        script="src/cost.py",
        code=code("cost"),
        histories=HISTORIES,
        after=[*EVALUATIONS, *rules.audit.input.findings, "<results>/timing.parquet"],
    output:
        page("cost", "Training", "What it took"),
    log:
        "<results>/logs/cost.log",
    params:
        settings=setting_options(
            benchmarks=str(Path(config["pathvars"]["results"], "benchmarks")),
            rules=COMPUTING_RULES,
        ),
