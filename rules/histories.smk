"""The training histories as a figure.

Input: the histories of all cells.
Output: <results>/histories.svg, .pdf, .png.
"""


rule histories:
    input:
        histories=HISTORIES,
        script="src/histories.py",
        code=[*PICTURE_CODE, "src/advtrain/histories.py"],
    output:
        svg=report(
            "<results>/histories.svg",
            caption="../report/histories.rst",
            category="Training",
            labels={"result": "Training histories"},
        ),
        pdf="<results>/histories.pdf",
        png="<results>/histories.png",
    log:
        "<results>/logs/histories.log",
    benchmark:
        "<results>/benchmarks/histories.tsv"
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
        iterations=config["training"]["monitor_iterations"],
        scale=SCALE,
    shell:
        """
        exec python3 src/histories.py \
            {input.histories:q} \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --scale {params.scale:q} \
            --iterations {params.iterations:q} \
            --figure {output.svg:q} \
            --figure {output.pdf:q} \
            --figure {output.png:q} \
            >{log:q} 2>&1
        """
