"""The step and the period of resets of Proposed, each pair trained. Not part of `all`: it is asked for by name.

Input: the evaluations of Proposed with each step and period.
Output: <results>/ablation.parquet, .md, .html, the figures beside those of the paper's own choice; <results>/ablation.svg, .pdf,
.png, heat maps.
"""


rule ablation:
    input:
        evaluations=expand(
            "<results>/evaluations/{dataset}/{classifier}.{evaluation}.parquet",
            dataset=DATASETS,
            classifier=ABLATED,
            evaluation=[*TABLE_1_BIM, "strong"],
        ),
        script="src/ablation.py",
        code=[*TABLE_CODE, *FIGURE_CODE, "src/advtrain/ablation.py", "src/advtrain/ablation_map.py"],
    output:
        parquet="<results>/ablation.parquet",
        md="<results>/ablation.md",
        html=report(
            "<results>/ablation.html",
            caption="../report/ablation.rst",
            category="Beyond the paper",
            labels={"result": "Step and resets of Proposed"},
        ),
        svg=report(
            "<results>/ablation.svg",
            caption="../report/ablation.rst",
            category="Beyond the paper",
            labels={"result": "Step and resets of Proposed, as heat maps"},
        ),
        pdf="<results>/ablation.pdf",
        png="<results>/ablation.png",
    log:
        "<results>/logs/ablation.log",
    benchmark:
        "<results>/benchmarks/ablation.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        classifiers=lambda wildcards: json.dumps(ABLATED),
        datasets=lambda wildcards: DATASET_TITLES,
        epochs=config["training"]["epochs"],
        scale=SCALE,
    shell:
        """
        exec python3 src/ablation.py \
            {input.evaluations:q} \
            --classifiers {params.classifiers:q} \
            --datasets {params.datasets:q} \
            --epochs {params.epochs:q} \
            --scale {params.scale:q} \
            --parquet {output.parquet:q} \
            --md {output.md:q} \
            --html {output.html:q} \
            --figure {output.svg:q} \
            --figure {output.pdf:q} \
            --figure {output.png:q} \
            >{log:q} 2>&1
        """
