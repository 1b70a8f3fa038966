"""The paper's table and figures.

Input: the evaluations of all cells, the timing, and the audit, whose failures Table I marks.
Output: <results>/table1.parquet, .csv, .md, .tex, .html; <results>/headline.md; <results>/against_paper.parquet, .md, .html;
<results>/differences.parquet, .md, .html; <results>/figure1, figure2, table1_bars, pareto as .svg, .pdf, .png;
<results>/pareto.parquet.

The rule table1 is the pattern of every rule that makes tables or figures: the script of the rule's name gets an option for each
named input and output.
"""


rule table1:
    input:
        code=code("table1"),
        evaluations=EVALUATIONS,
        timing="<results>/timing.parquet",
        audit="<results>/audit.parquet",
    output:
        "<results>/table1.parquet",
        "<results>/table1.csv",
        "<results>/table1.md",
        "<results>/table1.tex",
        report(
            "<results>/table1.html",
            caption="../report/table1.rst",
            category="The paper",
            labels={"result": "Table I"},
        ),
    log:
        "<results>/logs/table1.log",
    benchmark:
        "<results>/benchmarks/table1.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        options=report_options(),
    shell:
        """
        exec python3 src/{rule}.py {params.options} >{log:q} 2>&1
        """


use rule table1 as headline with:
    input:
        code=code("headline"),
        table="<results>/table1.parquet",
    output:
        "<results>/headline.md",
    log:
        "<results>/logs/headline.log",
    benchmark:
        "<results>/benchmarks/headline.tsv"


use rule table1 as against_paper with:
    input:
        code=code("against_paper"),
        table="<results>/table1.parquet",
    output:
        "<results>/against_paper.parquet",
        "<results>/against_paper.md",
        report(
            "<results>/against_paper.html",
            caption="../report/against_paper.rst",
            category="The paper",
            labels={"result": "Against the paper"},
        ),
    log:
        "<results>/logs/against_paper.log",
    benchmark:
        "<results>/benchmarks/against_paper.tsv"


use rule table1 as differences with:
    input:
        code=code("differences"),
        evaluations=EVALUATIONS,
    output:
        "<results>/differences.parquet",
        "<results>/differences.md",
        report(
            "<results>/differences.html",
            caption="../report/differences.rst",
            category="The paper",
            labels={"result": "Differences"},
        ),
    log:
        "<results>/logs/differences.log",
    benchmark:
        "<results>/benchmarks/differences.tsv"


use rule table1 as figure1 with:
    input:
        code=code("figure1"),
        evaluations=EVALUATIONS,
    output:
        report(
            "<results>/figure1.svg",
            caption="../report/figure1.rst",
            category="The paper",
            labels={"result": "Figure 1"},
        ),
        "<results>/figure1.pdf",
        "<results>/figure1.png",
    log:
        "<results>/logs/figure1.log",
    benchmark:
        "<results>/benchmarks/figure1.tsv"


use rule table1 as figure2 with:
    input:
        code=code("figure2"),
        evaluations=EVALUATIONS,
    output:
        report(
            "<results>/figure2.svg",
            caption="../report/figure2.rst",
            category="The paper",
            labels={"result": "Figure 2"},
        ),
        "<results>/figure2.pdf",
        "<results>/figure2.png",
    log:
        "<results>/logs/figure2.log",
    benchmark:
        "<results>/benchmarks/figure2.tsv"
    params:
        options=report_options(iterations=config["evaluation"]["trace_iterations"]),


use rule table1 as table1_bars with:
    input:
        code=code("table1_bars"),
        table="<results>/table1.parquet",
    output:
        report(
            "<results>/table1_bars.svg",
            caption="../report/table1_bars.rst",
            category="The paper",
            labels={"result": "Table I as bars"},
        ),
        "<results>/table1_bars.pdf",
        "<results>/table1_bars.png",
    log:
        "<results>/logs/table1_bars.log",
    benchmark:
        "<results>/benchmarks/table1_bars.tsv"


use rule table1 as pareto with:
    input:
        code=code("pareto"),
        evaluations=EVALUATIONS,
        timing="<results>/timing.parquet",
    output:
        "<results>/pareto.parquet",
        report(
            "<results>/pareto.svg",
            caption="../report/pareto.rst",
            category="Beyond the paper",
            labels={"result": "Robustness and price"},
        ),
        "<results>/pareto.pdf",
        "<results>/pareto.png",
    log:
        "<results>/logs/pareto.log",
    benchmark:
        "<results>/benchmarks/pareto.tsv"
