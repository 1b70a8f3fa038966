"""Training.

Input: the training images and labels of a data set.
Output: <results>/models/{dataset}/{defense}.pt, the weights of all seeds of a cell; .history.parquet, a row for each epoch;
{defense}__best.pt, the weights of the epochs that were best on images held out, a classifier like any other.

The checkpoint is not declared as an output: Snakemake deletes the outputs of a killed job, and the next run resumes from the
checkpoint. The job deletes it at the end. Only stderr goes to the log: stdout has a line at each tenth of the training.
"""


rule train:
    input:
        code=lambda wildcards: code("src/train.py", method_of(wildcards.defense), networks=[network_of(wildcards.defense)]),
        images="data/{dataset}/train-images-idx3-ubyte",
        labels="data/{dataset}/train-labels-idx1-ubyte",
    output:
        model="<results>/models/{dataset}/{defense}.pt",
        history="<results>/models/{dataset}/{defense}.history.parquet",
    log:
        "<results>/logs/train/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/train/{dataset}/{defense}.tsv"
    wildcard_constraints:
        defense="|".join(CLASSIFIERS) or "(?!)",
    # The longest trainings first, so that none of them runs alone at the end.
    priority: lambda wildcards: CLASSIFIERS[wildcards.defense]["defense"].get("iterations", 1)
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem="8GB",
        runtime="12h",
    params:
        stem=subpath(output.model, strip_suffix=".pt"),
        plan=lambda wildcards: to_json(plan(wildcards.dataset, wildcards.defense)),
        device=unrecorded(config["device"]),
        cuda_graph=unrecorded(int(config["cuda_graph"])),
        checkpoint_epochs=unrecorded(config["training"]["checkpoint_epochs"]),
    shell:
        """
        exec python3 {input.code[0]:q} \
            --dataset {wildcards.dataset:q} \
            --defense {wildcards.defense:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --plan {params.plan:q} \
            --checkpoint-epochs {params.checkpoint_epochs:q} \
            --device {params.device:q} \
            --cuda-graph {params.cuda_graph:q} \
            --checkpoint {params.stem:q}.checkpoint \
            --model {output.model:q} \
            --history {output.history:q} \
            2>>{log:q}
        """


rule best:
    input:
        code=code("src/best.py"),
        model="<results>/models/{dataset}/{defense}.pt",
    output:
        "<results>/models/{dataset}/{defense}__best.pt",
    log:
        "<results>/logs/best/{dataset}/{defense}.log",
    wildcard_constraints:
        defense="|".join(CLASSIFIERS) or "(?!)",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    shell:
        """
        exec python3 {input.code[0]:q} {input.model:q} --output {output:q} >{log:q} 2>&1
        """
