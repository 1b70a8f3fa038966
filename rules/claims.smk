"""The paper's claims.

Input: the evaluations of all cells, and the rounds of the timing.
Output: <results>/claims.parquet, .md, .html, what the paper claims and what our figures say of it.
"""


rule claims:
    input:
        evaluations=EVALUATIONS,
        timing_blocks="<results>/timing_blocks.parquet",
        script="src/claims.py",
        code=[
            OUTPUT_CODE,
            "src/advtrain/claims.py",
            "src/advtrain/claims_page.py",
            "src/advtrain/paper.py",
            "src/advtrain/statistics.py",
            "src/advtrain/verdicts.py",
        ],
        templates=multiext("src/advtrain/templates/claims", ".md", ".html"),
    output:
        parquet="<results>/claims.parquet",
        md="<results>/claims.md",
        html=report(
            "<results>/claims.html",
            caption="../report/claims.rst",
            category="Claims",
            labels={"result": "Claims and verdicts"},
        ),
    log:
        "<results>/logs/claims.log",
    benchmark:
        "<results>/benchmarks/claims.tsv"
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
        exec python3 src/claims.py \
            {input.evaluations:q} \
            --timing-blocks {input.timing_blocks:q} \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --scale {params.scale:q} \
            --parquet {output.parquet:q} \
            --md {output.md:q} \
            --html {output.html:q} \
            >{log:q} 2>&1
        """
