"""The audit.

Input: the trained models and their evaluations.
Output: <results>/audits/{dataset}/{defense}.parquet, what each check of one model measured; <results>/transfer/{dataset}.parquet,
accuracy of each model under the adversarial examples of each, and .findings.parquet, the check on it; beside both
.outcomes.parquet, which images withstood these attacks; <results>/audit.parquet, .md, .html, all checks with their verdicts;
<results>/transfer.svg, .pdf, .png.
"""


use rule sweep_bim as audit_model with:
    input:
        code=code("src/audit_model.py"),
        model="<results>/models/{dataset}/{defense}.pt",
        evaluations="<results>/{dataset}/{defense}.parquet",
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        table="<results>/audits/{dataset}/{defense}.parquet",
        outcomes="<results>/audits/{dataset}/{defense}.outcomes.parquet",
    log:
        "<results>/logs/audit_model/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/audit_model/{dataset}/{defense}.tsv"
    resources:
        gpu=SHARED_GPU,
        mem="4GB",
        runtime="12h",
    params:
        settings=on_test_images(
            AUDITED,
            pgd=PGD,
            trace_iterations=config["evaluation"]["trace_iterations"],
            **{key: config["audit"][key] for key in ("square_queries", "noise_draws")},
        ),
        more=lambda wildcards, input, output: options(
            [
                ("checkpoint", checkpoint_beside(output.table)),
                ("evaluations", input.evaluations),
                ("outcomes", output.outcomes),
            ]
        ),


rule transfer:
    input:
        code=code("src/transfer.py"),
        models=lambda wildcards: expand("<results>/models/{{dataset}}/{defense}.pt", defense=classifiers_on(wildcards.dataset)),
        evaluations=lambda wildcards: expand(
            "<results>/{{dataset}}/{defense}.parquet", defense=classifiers_on(wildcards.dataset)
        ),
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        matrix="<results>/transfer/{dataset}.parquet",
        findings="<results>/transfer/{dataset}.findings.parquet",
        outcomes="<results>/transfer/{dataset}.outcomes.parquet",
    log:
        "<results>/logs/transfer/{dataset}.log",
    benchmark:
        "<results>/benchmarks/transfer/{dataset}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        gpu=SHARED_GPU,
        mem="4GB",
        runtime="4h",
    params:
        models=lambda wildcards, input: json.dumps(dict(zip(classifiers_on(wildcards.dataset), input.models))),
        evaluations=lambda wildcards, input: json.dumps(dict(zip(classifiers_on(wildcards.dataset), input.evaluations))),
        settings=on_test_images(AUDITED, pgd=PGD),
        batch_size=unrecorded(config["evaluation"]["batch_size"]),
        device=unrecorded(config["device"]),
    shell:
        """
        exec python3 {input.code[0]:q} \
            --dataset {wildcards.dataset:q} \
            --models {params.models:q} \
            --evaluations {params.evaluations:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --settings {params.settings:q} \
            --batch-size {params.batch_size:q} \
            --device {params.device:q} \
            --matrix {output.matrix:q} \
            --findings {output.findings:q} \
            --outcomes {output.outcomes:q} \
            >{log:q} 2>&1
        """


use rule table1 as audit with:
    input:
        code=code("src/audit.py"),
        findings=FINDINGS,
    output:
        page("audit", "Audit", "All checks"),
    log:
        "<results>/logs/audit.log",


use rule table1 as transfer_map with:
    input:
        code=code("src/transfer_map.py"),
        matrices=expand("<results>/transfer/{dataset}.parquet", dataset=DATASETS),
    output:
        picture("transfer", "Audit", "Transfer"),
    log:
        "<results>/logs/transfer_map.log",
