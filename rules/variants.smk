"""The choices that the paper leaves open, each tried alone.

Input: the evaluations of classifiers that are a defense of the paper but for one choice.
Output: <results>/variants.parquet, .md, .html, how near to the paper's Table I each comes.
"""


rule variants:
    input:
        evaluations=expand(
            "<results>/evaluations/{dataset}/{classifier}.{evaluation}.parquet",
            dataset=DATASETS,
            classifier=[name for defense in VARIANTS for name in [defense, *VARIANTS[defense]]],
            evaluation=TABLE_1_BIM,
        ),
        script="src/variants.py",
        code=[*TABLE_CODE, "src/advtrain/variants.py"],
    output:
        parquet="<results>/variants.parquet",
        md="<results>/variants.md",
        html=report(
            "<results>/variants.html",
            caption="../report/variants.rst",
            category="The paper",
            labels={"result": "What the paper leaves open"},
        ),
    log:
        "<results>/logs/variants.log",
    benchmark:
        "<results>/benchmarks/variants.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        classifiers=lambda wildcards: CHOICES,
        datasets=lambda wildcards: DATASET_TITLES,
        defenses=lambda wildcards: DEFENSE_TITLES,
        fixed_step_divisor=config["evaluation"]["fixed_step"]["divisor"],
        scale=SCALE,
    shell:
        """
        exec python3 src/variants.py \
            {input.evaluations:q} \
            --classifiers {params.classifiers:q} \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --fixed-step-divisor {params.fixed_step_divisor:q} \
            --scale {params.scale:q} \
            --parquet {output.parquet:q} \
            --md {output.md:q} \
            --html {output.html:q} \
            >{log:q} 2>&1
        """
