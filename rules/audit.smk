"""The audit.

Input: the trained models and their evaluations.
Output: <results>/audits/{dataset}/{defense}.parquet, what each check of one model measured; <results>/transfer/{dataset}.parquet,
accuracy of each model under the adversarial examples of each, and .findings.parquet, the check on it; <results>/audit.parquet, .md,
.html, all checks with their verdicts; <results>/transfer.svg, .pdf, .png.
"""


rule audit_model:
    input:
        script="src/audit_model.py",
        code=[*EVALUATION_CODE, "src/advtrain/checks.py", "src/advtrain/measured.py", "src/advtrain/square.py"],
        model="<results>/models/{dataset}/{defense}.pt",
        evaluations="<results>/{dataset}/{defense}.parquet",
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        "<results>/audits/{dataset}/{defense}.parquet",
    log:
        "<results>/logs/audit_model/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/audit_model/{dataset}/{defense}.tsv"
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
        trace_iterations=config["evaluation"]["trace_iterations"],
        square_queries=config["audit"]["square_queries"],
        noise_draws=config["audit"]["noise_draws"],
        by_name=lambda wildcards: AUDIT_BY_NAME,
    shell:
        """
        exec python3 src/audit_model.py \
            --dataset {wildcards.dataset:q} \
            --defense {wildcards.defense:q} \
            --model {input.model:q} \
            --evaluations {input.evaluations:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --examples {params.examples:q} \
            --subset-seed {params.subset_seed:q} \
            --epsilon {params.epsilon:q} \
            --pgd {params.pgd:q} \
            --trace-iterations {params.trace_iterations:q} \
            --square-queries {params.square_queries:q} \
            --noise-draws {params.noise_draws:q} \
            --batch-size {resources.batch_size:q} \
            --device {resources.device:q} \
            --output {output:q} \
            >{log:q} 2>&1
        """


rule transfer:
    input:
        script="src/transfer.py",
        code=[*EVALUATION_CODE, "src/advtrain/measured.py", "src/advtrain/transfer.py"],
        models=expand("<results>/models/{{dataset}}/{defense}.pt", defense=DEFENSES),
        evaluations=expand("<results>/{{dataset}}/{defense}.parquet", defense=DEFENSES),
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        matrix="<results>/transfer/{dataset}.parquet",
        findings="<results>/transfer/{dataset}.findings.parquet",
    log:
        "<results>/logs/transfer/{dataset}.log",
    benchmark:
        "<results>/benchmarks/transfer/{dataset}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem="4GB",
        runtime="4h",
        device=config["device"],
        batch_size=config["evaluation"]["batch_size"],
    params:
        models=lambda wildcards, input: json.dumps(dict(zip(DEFENSES, input.models))),
        evaluations=lambda wildcards, input: json.dumps(dict(zip(DEFENSES, input.evaluations))),
        epsilon=lookup("datasets/{dataset}/epsilon", within=config),
        examples=config["strong"]["examples"],
        subset_seed=config["subset_seed"],
        pgd=lambda wildcards: PGD,
    shell:
        """
        exec python3 src/transfer.py \
            --dataset {wildcards.dataset:q} \
            --models {params.models:q} \
            --evaluations {params.evaluations:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --examples {params.examples:q} \
            --subset-seed {params.subset_seed:q} \
            --epsilon {params.epsilon:q} \
            --pgd {params.pgd:q} \
            --batch-size {resources.batch_size:q} \
            --device {resources.device:q} \
            --matrix {output.matrix:q} \
            --findings {output.findings:q} \
            >{log:q} 2>&1
        """


rule audit:
    input:
        findings=[
            *expand("<results>/audits/{dataset}/{defense}.parquet", dataset=DATASETS, defense=DEFENSES),
            *expand("<results>/transfer/{dataset}.findings.parquet", dataset=DATASETS),
        ],
        script="src/audit.py",
        code=AUDIT_CODE,
    output:
        parquet="<results>/audit.parquet",
        md="<results>/audit.md",
        html=report(
            "<results>/audit.html",
            caption="../report/audit.rst",
            category="Audit",
            labels={"result": "All checks"},
        ),
    log:
        "<results>/logs/audit.log",
    benchmark:
        "<results>/benchmarks/audit.tsv"
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
        scale=SCALE,
    shell:
        """
        exec python3 src/audit.py \
            {input.findings:q} \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --scale {params.scale:q} \
            --parquet {output.parquet:q} \
            --md {output.md:q} \
            --html {output.html:q} \
            >{log:q} 2>&1
        """


rule transfer_map:
    input:
        tables=expand("<results>/transfer/{dataset}.parquet", dataset=DATASETS),
        script="src/transfer_map.py",
        code=FIGURE_CODE,
    output:
        svg=report(
            "<results>/transfer.svg",
            caption="../report/transfer.rst",
            category="Audit",
            labels={"result": "Transfer"},
        ),
        pdf="<results>/transfer.pdf",
        png="<results>/transfer.png",
    log:
        "<results>/logs/transfer_map.log",
    benchmark:
        "<results>/benchmarks/transfer_map.tsv"
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
        scale=SCALE,
    shell:
        """
        exec python3 src/transfer_map.py \
            {input.tables:q} \
            --datasets {params.datasets:q} \
            --defenses {params.defenses:q} \
            --scale {params.scale:q} \
            --figure {output.svg:q} \
            --figure {output.pdf:q} \
            --figure {output.png:q} \
            >{log:q} 2>&1
        """
