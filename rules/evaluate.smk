"""Evaluation.

Input: the trained models of a cell, the test images and labels.
Output: <results>/evaluations/{dataset}/{defense}.sweep.parquet, clean, FGSM, BIM(N) for each N and with a fixed step;
.trace.parquet, one BIM after each iterate; .strong.parquet, PGD from random starts; .autoattack.parquet, AutoAttack;
<results>/{dataset}/{defense}.parquet, all together.
"""


rule sweep_bim:
    input:
        code=code("src/sweep_bim.py"),
        model="<results>/models/{dataset}/{defense}.pt",
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        table="<results>/evaluations/{dataset}/{defense}.sweep.parquet",
    log:
        "<results>/logs/sweep_bim/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/sweep_bim/{dataset}/{defense}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        gpu=SHARED_GPU,
        mem="4GB",
        runtime="2h",
    params:
        settings=on_test_images(
            config["evaluation"]["examples"], iterations=SWEPT, fixed_step=config["evaluation"]["fixed_step"]
        ),
        batch_size=unrecorded(config["evaluation"]["batch_size"]),
        device=unrecorded(config["device"]),
        more="",
    shell:
        """
        exec python3 {input.code[0]:q} \
            --dataset {wildcards.dataset:q} \
            --defense {wildcards.defense:q} \
            --model {input.model:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --settings {params.settings:q} \
            --batch-size {params.batch_size:q} \
            --device {params.device:q} \
            --output {output.table:q} \
            {params.more} \
            >{log:q} 2>&1
        """


use rule sweep_bim as trace_bim with:
    input:
        code=code("src/trace_bim.py"),
        model="<results>/models/{dataset}/{defense}.pt",
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        table="<results>/evaluations/{dataset}/{defense}.trace.parquet",
    log:
        "<results>/logs/trace_bim/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/trace_bim/{dataset}/{defense}.tsv"
    params:
        settings=on_test_images(config["evaluation"]["examples"], iterations=config["evaluation"]["trace_iterations"]),


# Checkpoints are not declared as outputs, for the reason that rules/train.smk gives.
use rule sweep_bim as strong with:
    input:
        code=code("src/strong.py"),
        model="<results>/models/{dataset}/{defense}.pt",
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        table="<results>/evaluations/{dataset}/{defense}.strong.parquet",
    log:
        "<results>/logs/strong/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/strong/{dataset}/{defense}.tsv"
    resources:
        gpu=SHARED_GPU,
        mem="4GB",
        runtime="12h",
    params:
        settings=on_test_images(config["pgd"]["examples"], pgd=PGD),
        more=lambda wildcards, output: options([("checkpoint", checkpoint_beside(output.table))]),


use rule sweep_bim as autoattack with:
    input:
        code=code("src/autoattack.py"),
        model="<results>/models/{dataset}/{defense}.pt",
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        table="<results>/evaluations/{dataset}/{defense}.autoattack.parquet",
    log:
        "<results>/logs/autoattack/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/autoattack/{dataset}/{defense}.tsv"
    resources:
        gpu=SHARED_GPU,
        mem="4GB",
        runtime="24h",
    params:
        settings=on_test_images(
            config["autoattack"]["apgd_examples"],
            **{key: config["autoattack"][key] for key in ("fab_square_examples", "batch_size", "seed")},
        ),
        batch_size=config["autoattack"]["batch_size"],
        more=lambda wildcards, output: options([("checkpoint", checkpoint_beside(output.table))]),


rule collect:
    input:
        code=code("src/collect.py"),
        tables=multiext(
            "<results>/evaluations/{dataset}/{defense}",
            ".sweep.parquet",
            ".trace.parquet",
            ".strong.parquet",
            ".autoattack.parquet",
        ),
    output:
        "<results>/{dataset}/{defense}.parquet",
    log:
        "<results>/logs/collect/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/collect/{dataset}/{defense}.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    shell:
        """
        exec python3 {input.code[0]:q} {input.tables:q} --output {output:q} >{log:q} 2>&1
        """
