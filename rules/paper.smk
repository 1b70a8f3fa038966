"""The tables and figures.

Input: the evaluations of all cells, the timing, the training histories, and the audit, whose failures Table I marks.
Output: <results>/table1.parquet, .csv, .md, .tex, .html; <results>/headline.md, .html; <results>/against_paper, differences,
claims, overfitting, cost as .parquet, .md, .html; <results>/figure1, figure2, table1_bars, pareto, histories as .svg, .pdf,
.png; <results>/pareto.parquet.

The rule table1 is the pattern of every rule that makes tables or figures: its script gets an option for each named input and
output.
"""


rule table1:
    input:
        code=code("src/table1.py"),
        evaluations=[*EVALUATIONS, *OUTCOMES],
        timing=of_trained("<results>/timing.parquet"),
        audit="<results>/audit.parquet",
    output:
        page("table1", "The paper", "Table I", formats=[".csv", ".tex"]),
    log:
        "<results>/logs/table1.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        files=file_options,
        settings="",
        labels=constant(to_json(LABELS, sort_keys=False)),
    shell:
        """
        exec python3 {input.code[0]:q} {params.files} {params.settings} --labels {params.labels:q} >{log:q} 2>&1
        """


use rule table1 as headline with:
    input:
        code=code("src/headline.py"),
        table=of_trained("<results>/table1.parquet"),
    output:
        "<results>/headline.md",
        reported("headline.html", "The paper", "In short"),
    log:
        "<results>/logs/headline.log",
    params:
        settings=setting_options(epochs=EPOCHS),


use rule table1 as against_paper with:
    input:
        code=code("src/against_paper.py"),
        table=of_trained("<results>/table1.parquet"),
    output:
        page("against_paper", "The paper", "Against the paper"),
    log:
        "<results>/logs/against_paper.log",


use rule table1 as differences with:
    input:
        code=code("src/differences.py"),
        evaluations=[*EVALUATIONS, *OUTCOMES],
    output:
        page("differences", "The paper", "Differences"),
    log:
        "<results>/logs/differences.log",


use rule table1 as figure1 with:
    input:
        code=code("src/figure1.py"),
        evaluations=EVALUATIONS,
    output:
        picture("figure1", "The paper", "Figure 1"),
    log:
        "<results>/logs/figure1.log",


use rule table1 as figure2 with:
    input:
        code=code("src/figure2.py"),
        evaluations=EVALUATIONS,
    output:
        picture("figure2", "The paper", "Figure 2"),
    log:
        "<results>/logs/figure2.log",
    params:
        settings=setting_options(iterations=config["evaluation"]["trace_iterations"]),


use rule table1 as table1_bars with:
    input:
        code=code("src/table1_bars.py"),
        table=of_trained("<results>/table1.parquet"),
    output:
        picture("table1_bars", "The paper", "Table I as bars"),
    log:
        "<results>/logs/table1_bars.log",


use rule table1 as pareto with:
    input:
        code=code("src/pareto.py"),
        evaluations=[*EVALUATIONS, *OUTCOMES],
        timing=of_trained("<results>/timing.parquet"),
    output:
        "<results>/pareto.parquet",
        picture("pareto", "Beyond the paper", "Robustness and price"),
    log:
        "<results>/logs/pareto.log",
    params:
        settings=setting_options(epochs=EPOCHS),


use rule table1 as claims with:
    input:
        code=code("src/claims.py"),
        evaluations=EVALUATIONS,
        timing=of_trained("<results>/timing.parquet"),
        timing_blocks="<results>/timing_blocks.parquet",
    output:
        page("claims", "Claims", "Claims and verdicts"),
    log:
        "<results>/logs/claims.log",


use rule table1 as histories with:
    input:
        code=code("src/histories.py"),
        histories=of_trained(*HISTORIES),
    output:
        picture("histories", "Training", "Training histories"),
    log:
        "<results>/logs/histories.log",
    params:
        settings=setting_options(iterations=config["training"]["monitor_iterations"]),


use rule table1 as overfitting with:
    input:
        code=code("src/overfitting.py"),
        histories=of_trained(*HISTORIES),
        evaluations=expand(
            "<results>/evaluations/{dataset}/{classifier}.strong.parquet",
            dataset=DATASETS,
            classifier=[name for best in BESTS for name in (best.removesuffix("__best"), best)],
        ),
    output:
        page("overfitting", "Training", "Catastrophic overfitting"),
    log:
        "<results>/logs/overfitting.log",
    params:
        settings=setting_options(watched=WATCHED),


# Snakemake does not count benchmark files as outputs; they are there once the jobs' results are.
use rule table1 as cost with:
    input:
        code=code("src/cost.py"),
        histories=of_trained(*HISTORIES),
        timing=of_trained("<results>/timing.parquet"),
        after=[*EVALUATIONS, *FINDINGS],
    output:
        page("cost", "Training", "What it took"),
    log:
        "<results>/logs/cost.log",
    params:
        settings=setting_options(
            benchmarks=str(Path(config["pathvars"]["results"], "benchmarks")),
            # every rule that takes more than seconds
            rules="download train sweep_bim trace_bim strong autoattack audit_model transfer time_epochs".split(),
        ),
