"""The data sets.

Input: none; the sources are tried in order, the local folder of the configuration first. The script is no input: an edit to it
need not fetch again what its hashes prove right. The script itself tries each source twice.
Output: data/{dataset}/*-ubyte, four uncompressed IDX files, held to their SHA-256.
"""


rule download:
    output:
        train_images=ensure(
            "data/{dataset}/train-images-idx3-ubyte",
            sha256=lookup("datasets/{dataset}/sha256/train-images-idx3-ubyte", within=config),
        ),
        train_labels=ensure(
            "data/{dataset}/train-labels-idx1-ubyte",
            sha256=lookup("datasets/{dataset}/sha256/train-labels-idx1-ubyte", within=config),
        ),
        test_images=ensure(
            "data/{dataset}/t10k-images-idx3-ubyte",
            sha256=lookup("datasets/{dataset}/sha256/t10k-images-idx3-ubyte", within=config),
        ),
        test_labels=ensure(
            "data/{dataset}/t10k-labels-idx1-ubyte",
            sha256=lookup("datasets/{dataset}/sha256/t10k-labels-idx1-ubyte", within=config),
        ),
    log:
        "<results>/logs/download/{dataset}.log",
    benchmark:
        "<results>/benchmarks/download/{dataset}.tsv"
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        local_folder=config["local_folder"],
        mem="2GB",
        runtime="30m",
    params:
        hashes=lambda wildcards: HASHES[wildcards.dataset],
        folder=subpath(output.train_images, parent=True),
    shell:
        """
        exec python3 src/download.py \
            --dataset {wildcards.dataset:q} \
            --hashes {params.hashes:q} \
            --local {resources.local_folder:q} \
            --folder {params.folder:q} \
            >{log:q} 2>&1
        """
