"""The paper's table and figures.

Input: the evaluations of all cells, the timing, and the audit, whose failures Table I marks.
Output: <results>/table1.parquet, .csv, .md, .tex, .html; <results>/headline.md; <results>/against_paper.parquet, .md, .html;
<results>/differences.parquet, .md, .html; <results>/figure1, figure2, table1_bars, pareto as .svg, .pdf, .png;
<results>/pareto.parquet.

The rule table1 is the pattern of every rule that makes tables or figures: its script gets an option for each named input and
output.
"""


rule table1:
    input:
        script="src/table1.py",
        code=code("table1"),
        evaluations=EVALUATIONS,
        timing="<results>/timing.parquet",
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
        exec python3 {input.script:q} {params.files} {params.settings} --labels {params.labels:q} >{log:q} 2>&1
        """


use rule table1 as headline with:
    input:
        script="src/headline.py",
        code=code("headline"),
        table="<results>/table1.parquet",
    output:
        "<results>/headline.md",
    log:
        "<results>/logs/headline.log",


use rule table1 as against_paper with:
    input:
        script="src/against_paper.py",
        code=code("against_paper"),
        table="<results>/table1.parquet",
    output:
        page("against_paper", "The paper", "Against the paper"),
    log:
        "<results>/logs/against_paper.log",


use rule table1 as differences with:
    input:
        script="src/differences.py",
        code=code("differences"),
        evaluations=EVALUATIONS,
    output:
        page("differences", "The paper", "Differences"),
    log:
        "<results>/logs/differences.log",


use rule table1 as figure1 with:
    input:
        script="src/figure1.py",
        code=code("figure1"),
        evaluations=EVALUATIONS,
    output:
        picture("figure1", "The paper", "Figure 1"),
    log:
        "<results>/logs/figure1.log",


use rule table1 as figure2 with:
    input:
        script="src/figure2.py",
        code=code("figure2"),
        evaluations=EVALUATIONS,
    output:
        picture("figure2", "The paper", "Figure 2"),
    log:
        "<results>/logs/figure2.log",
    params:
        settings=setting_options(iterations=config["evaluation"]["trace_iterations"]),


use rule table1 as table1_bars with:
    input:
        script="src/table1_bars.py",
        code=code("table1_bars"),
        table="<results>/table1.parquet",
    output:
        picture("table1_bars", "The paper", "Table I as bars"),
    log:
        "<results>/logs/table1_bars.log",


use rule table1 as pareto with:
    input:
        script="src/pareto.py",
        code=code("pareto"),
        evaluations=EVALUATIONS,
        timing="<results>/timing.parquet",
    output:
        "<results>/pareto.parquet",
        picture("pareto", "Beyond the paper", "Robustness and price"),
    log:
        "<results>/logs/pareto.log",
