"""Classifiers that were trained elsewhere.

Input: their weights, which no rule makes; the test images and labels, to see that the weights fit them.
Output: <results>/models/{dataset}/{defense}.pt, as the training writes it. A line on the console, and the log, say what was
changed, and how right the classifier is on clean images.
"""


rule import_weights:
    input:
        code=lambda wildcards: code("src/import_weights.py", networks=[EXTERNAL[wildcards.defense]["network"]]),
        weights=lambda wildcards: Path(EXTERNAL[wildcards.defense]["weights"]).expanduser(),
        images="data/{dataset}/t10k-images-idx3-ubyte",
        labels="data/{dataset}/t10k-labels-idx1-ubyte",
    output:
        model="<results>/models/{dataset}/{defense}.pt",
    log:
        "<results>/logs/import_weights/{dataset}/{defense}.log",
    benchmark:
        "<results>/benchmarks/import_weights/{dataset}/{defense}.tsv"
    wildcard_constraints:
        defense="|".join(EXTERNAL) or "(?!)",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="4GB",
        runtime="10m",
    params:
        # Of the seeds, the first: under that one a classifier from elsewhere stands beside the others.
        settings=lambda wildcards: to_json(
            {
                "seed": COMMON["seeds"][0],
                **{key: value for key, value in EXTERNAL[wildcards.defense].items() if key not in ("weights", "datasets")},
            }
        ),
    shell:
        """
        exec python3 {input.code[0]:q} \
            --dataset {wildcards.dataset:q} \
            --defense {wildcards.defense:q} \
            --weights {input.weights:q} \
            --settings {params.settings:q} \
            --images {input.images:q} \
            --labels {input.labels:q} \
            --model {output.model:q} \
            2>{log:q}
        """
