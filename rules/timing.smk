"""Timing.

Input: the training images and labels of one data set.
Output: <results>/timing.parquet, seconds and passes per epoch of each defense; timing_blocks.parquet, seconds in each round.
"""


rule time_epochs:
    input:
        code=lambda wildcards: code("src/time_epochs.py", *map(method_of, TRAINED), networks=map(network_of, TRAINED)),
        images=of_trained("data/{}/train-images-idx3-ubyte".format(TIMED)),
        labels="data/{}/train-labels-idx1-ubyte".format(TIMED),
    output:
        summary="<results>/timing.parquet",
        blocks="<results>/timing_blocks.parquet",
    log:
        "<results>/logs/time_epochs.log",
    benchmark:
        "<results>/benchmarks/time_epochs.tsv"
    conda:
        "../envs/pipeline.yaml"
    # More than any machine has, so that nothing else runs at the same time; Snakemake caps it at --cores.
    threads: 1024
    resources:
        gpu=GPUS,
        mem="8GB",
        runtime="1h",
    params:
        dataset=TIMED,
        plans=constant(
            to_json(
                {
                    name: {
                        **plan(TIMED, name),
                        "seeds": [0],
                        "epochs": 1,
                        "monitor_examples": 1,
                        "monitor_iterations": 1,
                    }
                    for name in TRAINED
                },
                sort_keys=False,
            )
        ),
        timing=constant(to_json({key: value for key, value in config["timing"].items() if key != "dataset"})),
        device=unrecorded(config["device"]),
        cuda_graph=int(config["cuda_graph"]),
    shell:
        """
        exec python3 {input.code[0]:q} \
            --dataset {params.dataset:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --plans {params.plans:q} \
            --timing {params.timing:q} \
            --device {params.device:q} \
            --cuda-graph {params.cuda_graph:q} \
            --output {output.summary:q} \
            --blocks-output {output.blocks:q} \
            >{log:q} 2>&1
        """
