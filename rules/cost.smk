"""What the run took.

Input: the histories of all trainings, and the benchmark files of the jobs that have run, which Snakemake does not take for
results; the last results are inputs so that these are all.
Output: <results>/cost.parquet, .md, .html.
"""


rule cost:
    input:
        histories=HISTORIES,
        last=multiext("<results>/", "table1.parquet", "claims.parquet"),
        script="src/cost.py",
        code=[*PAGE_CODE, "src/advtrain/cost.py"],
    output:
        parquet="<results>/cost.parquet",
        md="<results>/cost.md",
        html=report(
            "<results>/cost.html",
            caption="../report/cost.rst",
            category="Training",
            labels={"result": "What it took"},
        ),
    log:
        "<results>/logs/cost.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        benchmarks=subpath(output.parquet, parent=True),
        datasets=lambda wildcards: DATASET_TITLES,
        defenses=lambda wildcards: DEFENSE_TITLES,
    shell:
        """
        exec python3 src/cost.py \
            {input.histories:q} \
            --benchmarks {params.benchmarks:q}/benchmarks \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --parquet {output.parquet:q} \
            --md {output.md:q} \
            --html {output.html:q} \
            >{log:q} 2>&1
        """
