"""Training.

Input: the training images and labels of a data set.
Output: <results>/models/{dataset}/{defense}.pt, the weights of all seeds of a cell; .history.parquet, a row for each epoch.

The checkpoint stands beside the outputs and is none: Snakemake deletes the outputs of a killed job, and the checkpoint is what
the next run goes on from. The job deletes it at the end. Of the job's output only stderr goes to the log: stdout has a line at
each tenth of the training, for the person who watches.
"""


rule train:
    input:
        script="src/train.py",
        code=TRAINING_CODE,
        method=lambda wildcards: method_code(wildcards.defense),
        images="data/{dataset}/train-images-idx3-ubyte",
        labels="data/{dataset}/train-labels-idx1-ubyte",
    output:
        model="<results>/models/{dataset}/{defense}.pt",
        history="<results>/models/{dataset}/{defense}.history.parquet",
    log:
        "<results>/logs/train/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/train/{dataset}/{defense}.tsv"
    # The longest trainings first, so that none of them runs alone at the end.
    priority: lambda wildcards: CLASSIFIERS[wildcards.defense]["settings"].get("iterations", 1)
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem="8GB",
        runtime="12h",
        device=config["device"],
        cuda_graph=int(config["cuda_graph"]),
        checkpoint_epochs=config["training"]["checkpoint_epochs"],
    params:
        stem=subpath(output.model, strip_suffix=".pt"),
        settings=lambda wildcards: json.dumps(CLASSIFIERS[wildcards.defense]["settings"], sort_keys=True),
        epsilon=lookup("datasets/{dataset}/epsilon", within=config),
        network=lambda wildcards: CLASSIFIERS[wildcards.defense]["network"],
        seeds=lambda wildcards: ",".join(map(str, CLASSIFIERS[wildcards.defense]["training"]["seeds"])),
        examples=lambda wildcards: CLASSIFIERS[wildcards.defense]["training"]["examples"],
        subset_seed=config["subset_seed"],
        epochs=lambda wildcards: CLASSIFIERS[wildcards.defense]["training"]["epochs"],
        batch_size=lambda wildcards: CLASSIFIERS[wildcards.defense]["training"]["batch_size"],
        learning_rate=lambda wildcards: CLASSIFIERS[wildcards.defense]["training"]["learning_rate"],
        monitor_examples=lambda wildcards: CLASSIFIERS[wildcards.defense]["training"]["monitor_examples"],
        monitor_iterations=lambda wildcards: CLASSIFIERS[wildcards.defense]["training"]["monitor_iterations"],
        by_name=lambda wildcards: training_by_name(wildcards.defense),
    shell:
        """
        exec python3 src/train.py \
            --dataset {wildcards.dataset:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --defense {wildcards.defense:q} \
            --settings {params.settings:q} \
            --epsilon {params.epsilon:q} \
            --network {params.network:q} \
            --seeds {params.seeds:q} \
            --examples {params.examples:q} \
            --subset-seed {params.subset_seed:q} \
            --epochs {params.epochs:q} \
            --batch-size {params.batch_size:q} \
            --learning-rate {params.learning_rate:q} \
            --monitor-examples {params.monitor_examples:q} \
            --monitor-iterations {params.monitor_iterations:q} \
            --checkpoint-epochs {resources.checkpoint_epochs:q} \
            --device {resources.device:q} \
            --cuda-graph {resources.cuda_graph:q} \
            --checkpoint {params.stem:q}.checkpoint \
            --model {output.model:q} \
            --history {output.history:q} \
            2>{log:q}
        """
