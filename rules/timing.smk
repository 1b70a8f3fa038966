"""Timing.

Input: the training images and labels of one data set.
Output: <results>/timing.parquet, seconds per training epoch of each defense; timing_blocks.parquet, the same in each round.
"""


rule time_epochs:
    input:
        script="src/time_epochs.py",
        code=[*TRAINING_CODE, "src/advtrain/timing.py"],
        methods=map(method_code, DEFENSES),
        images=expand("data/{dataset}/train-images-idx3-ubyte", dataset=config["timing"]["dataset"]),
        labels=expand("data/{dataset}/train-labels-idx1-ubyte", dataset=config["timing"]["dataset"]),
    output:
        summary="<results>/timing.parquet",
        blocks="<results>/timing_blocks.parquet",
    log:
        "<results>/logs/time_epochs.log",
    benchmark:
        "<results>/benchmarks/time_epochs.tsv"
    conda:
        "../envs/pipeline.yaml"
    # More than any machine has, so that nothing else runs beside the measurement; Snakemake caps it at --cores.
    threads: 1024
    resources:
        gpu=GPUS,
        mem="4GB",
        runtime="1h",
        device=config["device"],
    params:
        dataset=config["timing"]["dataset"],
        defenses=lambda wildcards: ALL_SETTINGS,
        epsilon=config["datasets"][config["timing"]["dataset"]]["epsilon"],
        network=config["network"],
        examples=config["training"]["examples"],
        subset_seed=config["subset_seed"],
        batch_size=config["training"]["batch_size"],
        learning_rate=config["training"]["learning_rate"],
        blocks=config["timing"]["blocks"],
        steps_per_block=config["timing"]["steps_per_block"],
        cpu_threads=config["timing"]["threads"],
        cuda_graph=int(config["cuda_graph"]),
        by_name=lambda wildcards: TIMING_BY_NAME,
    shell:
        """
        exec python3 src/time_epochs.py \
            --dataset {params.dataset:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --defenses {params.defenses:q} \
            --epsilon {params.epsilon:q} \
            --network {params.network:q} \
            --examples {params.examples:q} \
            --subset-seed {params.subset_seed:q} \
            --batch-size {params.batch_size:q} \
            --learning-rate {params.learning_rate:q} \
            --blocks {params.blocks:q} \
            --steps-per-block {params.steps_per_block:q} \
            --threads {params.cpu_threads:q} \
            --device {resources.device:q} \
            --cuda-graph {params.cuda_graph:q} \
            --output {output.summary:q} \
            --blocks-output {output.blocks:q} \
            >{log:q} 2>&1
        """
