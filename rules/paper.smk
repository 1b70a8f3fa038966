"""The paper's table and figures.

Input: the evaluations of all cells, the timing, and the audit, whose failures Table I marks.
Output: <results>/table1.parquet, .csv, .md, .tex, .html; <results>/against_paper.parquet, .md, .html;
<results>/differences.parquet, .md, .html; <results>/figure1, figure2, table1_bars, pareto as .svg, .pdf, .png;
<results>/pareto.parquet.
"""


rule table1:
    input:
        evaluations=EVALUATIONS,
        timing="<results>/timing.parquet",
        audit="<results>/audit.parquet",
        script="src/table1.py",
        code=TABLE_CODE,
    output:
        parquet="<results>/table1.parquet",
        csv="<results>/table1.csv",
        md="<results>/table1.md",
        tex="<results>/table1.tex",
        html=report(
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
        datasets=lambda wildcards: DATASET_TITLES,
        defenses=lambda wildcards: DEFENSE_TITLES,
        scale=SCALE,
    shell:
        """
        exec python3 src/table1.py \
            {input.evaluations:q} \
            --timing {input.timing:q} \
            --audit {input.audit:q} \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --scale {params.scale:q} \
            --parquet {output.parquet:q} \
            --csv {output.csv:q} \
            --md {output.md:q} \
            --tex {output.tex:q} \
            --html {output.html:q} \
            >{log:q} 2>&1
        """


rule against_paper:
    input:
        table="<results>/table1.parquet",
        script="src/against_paper.py",
        code=[*TABLE_CODE, "src/advtrain/against_paper.py"],
    output:
        parquet="<results>/against_paper.parquet",
        md="<results>/against_paper.md",
        html=report(
            "<results>/against_paper.html",
            caption="../report/against_paper.rst",
            category="The paper",
            labels={"result": "Against the paper"},
        ),
    log:
        "<results>/logs/against_paper.log",
    benchmark:
        "<results>/benchmarks/against_paper.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        scale=SCALE,
    shell:
        """
        exec python3 src/against_paper.py \
            --table {input.table:q} \
            --scale {params.scale:q} \
            --parquet {output.parquet:q} \
            --md {output.md:q} \
            --html {output.html:q} \
            >{log:q} 2>&1
        """


rule differences:
    input:
        evaluations=EVALUATIONS,
        script="src/differences.py",
        code=TABLE_CODE,
    output:
        parquet="<results>/differences.parquet",
        md="<results>/differences.md",
        html=report(
            "<results>/differences.html",
            caption="../report/differences.rst",
            category="The paper",
            labels={"result": "Differences"},
        ),
    log:
        "<results>/logs/differences.log",
    benchmark:
        "<results>/benchmarks/differences.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        datasets=lambda wildcards: DATASET_TITLES,
        defenses=lambda wildcards: DEFENSE_TITLES,
    shell:
        """
        exec python3 src/differences.py \
            {input.evaluations:q} \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --parquet {output.parquet:q} \
            --md {output.md:q} \
            --html {output.html:q} \
            >{log:q} 2>&1
        """


rule figure1:
    input:
        evaluations=EVALUATIONS,
        script="src/figure1.py",
        code=FIGURE_CODE,
    output:
        svg=report(
            "<results>/figure1.svg",
            caption="../report/figure1.rst",
            category="The paper",
            labels={"result": "Figure 1"},
        ),
        pdf="<results>/figure1.pdf",
        png="<results>/figure1.png",
    log:
        "<results>/logs/figure1.log",
    benchmark:
        "<results>/benchmarks/figure1.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        datasets=lambda wildcards: DATASET_TITLES,
        defenses=lambda wildcards: DEFENSE_TITLES,
        scale=SCALE,
    shell:
        """
        exec python3 src/figure1.py \
            {input.evaluations:q} \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --scale {params.scale:q} \
            --figure {output.svg:q} \
            --figure {output.pdf:q} \
            --figure {output.png:q} \
            >{log:q} 2>&1
        """


rule figure2:
    input:
        evaluations=EVALUATIONS,
        script="src/figure2.py",
        code=FIGURE_CODE,
    output:
        svg=report(
            "<results>/figure2.svg",
            caption="../report/figure2.rst",
            category="The paper",
            labels={"result": "Figure 2"},
        ),
        pdf="<results>/figure2.pdf",
        png="<results>/figure2.png",
    log:
        "<results>/logs/figure2.log",
    benchmark:
        "<results>/benchmarks/figure2.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        datasets=lambda wildcards: DATASET_TITLES,
        defenses=lambda wildcards: DEFENSE_TITLES,
        iterations=config["evaluation"]["trace_iterations"],
        scale=SCALE,
    shell:
        """
        exec python3 src/figure2.py \
            {input.evaluations:q} \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --scale {params.scale:q} \
            --iterations {params.iterations:q} \
            --figure {output.svg:q} \
            --figure {output.pdf:q} \
            --figure {output.png:q} \
            >{log:q} 2>&1
        """


rule table1_bars:
    input:
        table="<results>/table1.parquet",
        script="src/table1_bars.py",
        code=FIGURE_CODE,
    output:
        svg=report(
            "<results>/table1_bars.svg",
            caption="../report/table1_bars.rst",
            category="The paper",
            labels={"result": "Table I as bars"},
        ),
        pdf="<results>/table1_bars.pdf",
        png="<results>/table1_bars.png",
    log:
        "<results>/logs/table1_bars.log",
    benchmark:
        "<results>/benchmarks/table1_bars.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        families=lambda wildcards: DEFENSE_FAMILIES,
        scale=SCALE,
    shell:
        """
        exec python3 src/table1_bars.py \
            --table {input.table:q} \
            --families {params.families:q} \
            --scale {params.scale:q} \
            --figure {output.svg:q} \
            --figure {output.pdf:q} \
            --figure {output.png:q} \
            >{log:q} 2>&1
        """


rule pareto:
    input:
        evaluations=EVALUATIONS,
        timing="<results>/timing.parquet",
        script="src/pareto.py",
        code=[
            *FIGURE_CODE,
            "src/advtrain/audit.py",
            "src/advtrain/criteria.py",
            "src/advtrain/pareto.py",
            "src/advtrain/tables.py",
        ],
    output:
        parquet="<results>/pareto.parquet",
        svg=report(
            "<results>/pareto.svg",
            caption="../report/pareto.rst",
            category="Beyond the paper",
            labels={"result": "Robustness and price"},
        ),
        pdf="<results>/pareto.pdf",
        png="<results>/pareto.png",
    log:
        "<results>/logs/pareto.log",
    benchmark:
        "<results>/benchmarks/pareto.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        datasets=lambda wildcards: DATASET_TITLES,
        defenses=lambda wildcards: DEFENSE_TITLES,
        scale=SCALE,
    shell:
        """
        exec python3 src/pareto.py \
            {input.evaluations:q} \
            --timing {input.timing:q} \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --scale {params.scale:q} \
            --parquet {output.parquet:q} \
            --figure {output.svg:q} \
            --figure {output.pdf:q} \
            --figure {output.png:q} \
            >{log:q} 2>&1
        """
