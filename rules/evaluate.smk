"""Evaluation.

Input: the trained models of a cell, the test images and labels.
Output: <results>/evaluations/{dataset}/{defense}.sweep.parquet, clean, FGSM, BIM(N) for each N and with a fixed step;
.trace.parquet, one BIM after each iterate; .strong.parquet, PGD from random starts; .autoattack.parquet, AutoAttack;
<results>/{dataset}/{defense}.parquet, all together.
"""


rule sweep_bim:
    input:
        script="src/sweep_bim.py",
        code=EVALUATION_CODE,
        model="<results>/models/{dataset}/{defense}.pt",
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        "<results>/evaluations/{dataset}/{defense}.sweep.parquet",
    log:
        "<results>/logs/sweep_bim/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/sweep_bim/{dataset}/{defense}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem="4GB",
        runtime="2h",
        device=config["device"],
        batch_size=config["evaluation"]["batch_size"],
    params:
        epsilon=lookup("datasets/{dataset}/epsilon", within=config),
        iterations=",".join(map(str, SWEPT)),
        examples=config["evaluation"]["examples"],
        subset_seed=config["subset_seed"],
        fixed_step_divisor=config["evaluation"]["fixed_step"]["divisor"],
        fixed_step_iterations=",".join(map(str, config["evaluation"]["fixed_step"]["iterations"])),
        by_name=lambda wildcards: SWEEP_BY_NAME,
    shell:
        """
        exec python3 src/sweep_bim.py \
            --dataset {wildcards.dataset:q} \
            --defense {wildcards.defense:q} \
            --model {input.model:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --examples {params.examples:q} \
            --subset-seed {params.subset_seed:q} \
            --epsilon {params.epsilon:q} \
            --iterations {params.iterations:q} \
            --fixed-step-divisor {params.fixed_step_divisor:q} \
            --fixed-step-iterations {params.fixed_step_iterations:q} \
            --batch-size {resources.batch_size:q} \
            --device {resources.device:q} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule trace_bim:
    input:
        script="src/trace_bim.py",
        code=EVALUATION_CODE,
        model="<results>/models/{dataset}/{defense}.pt",
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        "<results>/evaluations/{dataset}/{defense}.trace.parquet",
    log:
        "<results>/logs/trace_bim/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/trace_bim/{dataset}/{defense}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem="4GB",
        runtime="1h",
        device=config["device"],
        batch_size=config["evaluation"]["batch_size"],
    params:
        epsilon=lookup("datasets/{dataset}/epsilon", within=config),
        iterations=config["evaluation"]["trace_iterations"],
        examples=config["evaluation"]["examples"],
        subset_seed=config["subset_seed"],
    shell:
        """
        exec python3 src/trace_bim.py \
            --dataset {wildcards.dataset:q} \
            --defense {wildcards.defense:q} \
            --model {input.model:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --examples {params.examples:q} \
            --subset-seed {params.subset_seed:q} \
            --epsilon {params.epsilon:q} \
            --iterations {params.iterations:q} \
            --batch-size {resources.batch_size:q} \
            --device {resources.device:q} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule strong:
    input:
        script="src/strong.py",
        code=EVALUATION_CODE,
        model="<results>/models/{dataset}/{defense}.pt",
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        "<results>/evaluations/{dataset}/{defense}.strong.parquet",
    log:
        "<results>/logs/strong/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/strong/{dataset}/{defense}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem="4GB",
        runtime="12h",
        device=config["device"],
        batch_size=config["evaluation"]["batch_size"],
    params:
        epsilon=lookup("datasets/{dataset}/epsilon", within=config),
        examples=config["strong"]["examples"],
        subset_seed=config["subset_seed"],
        pgd=lambda wildcards: PGD,
    shell:
        """
        exec python3 src/strong.py \
            --dataset {wildcards.dataset:q} \
            --defense {wildcards.defense:q} \
            --model {input.model:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --examples {params.examples:q} \
            --subset-seed {params.subset_seed:q} \
            --epsilon {params.epsilon:q} \
            --pgd {params.pgd:q} \
            --batch-size {resources.batch_size:q} \
            --device {resources.device:q} \
            --output {output:q} \
            >{log:q} 2>&1
        """


# The checkpoint is no output, for the reason that rules/train.smk gives.
rule autoattack:
    input:
        script="src/autoattack.py",
        code=[*SHARED_CODE, "src/advtrain/autoattack.py", "src/advtrain/results.py", "src/cell.py"],
        model="<results>/models/{dataset}/{defense}.pt",
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        "<results>/evaluations/{dataset}/{defense}.autoattack.parquet",
    log:
        "<results>/logs/autoattack/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/autoattack/{dataset}/{defense}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem="4GB",
        runtime="24h",
        device=config["device"],
    params:
        stem=subpath(output[0], strip_suffix=".parquet"),
        epsilon=lookup("datasets/{dataset}/epsilon", within=config),
        apgd_examples=config["autoattack"]["apgd_examples"],
        fab_square_examples=config["autoattack"]["fab_square_examples"],
        subset_seed=config["subset_seed"],
        batch_size=config["autoattack"]["batch_size"],
        attack_seed=config["autoattack"]["seed"],
        by_name=lambda wildcards: AUTOATTACK_BY_NAME,
    shell:
        """
        exec python3 src/autoattack.py \
            --dataset {wildcards.dataset:q} \
            --defense {wildcards.defense:q} \
            --model {input.model:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --examples {params.apgd_examples:q} \
            --fab-square-examples {params.fab_square_examples:q} \
            --subset-seed {params.subset_seed:q} \
            --attack-seed {params.attack_seed:q} \
            --epsilon {params.epsilon:q} \
            --batch-size {params.batch_size:q} \
            --device {resources.device:q} \
            --checkpoint {params.stem:q}.checkpoint \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule collect:
    input:
        tables=multiext(
            "<results>/evaluations/{dataset}/{defense}",
            ".sweep.parquet",
            ".trace.parquet",
            ".strong.parquet",
            ".autoattack.parquet",
        ),
        script="src/collect.py",
        code="src/advtrain/results.py",
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
        exec python3 src/collect.py \
            {input.tables:q} \
            --output {output:q} \
            >{log:q} 2>&1
        """
