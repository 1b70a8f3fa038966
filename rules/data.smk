"""The data sets.

Input: none; the sources are tried in order, the local folder of the configuration first. The script is no input: an edit to it
need not fetch again what its hashes prove right. The script itself tries each source again before it goes to the next.
Output: data/{dataset}/*-ubyte, four uncompressed IDX files, held to their SHA-256. As an `update` they are not deleted before the
job: it replaces each in one step by a right one, so that old files outlive a download that fails, and so that workflows that share
a folder `data` may download at once. After a failure Snakemake itself puts the old bytes back, which is not one step.
"""


rule download:
    output:
        train_images=update(
            ensure(
                "data/{dataset}/train-images-idx3-ubyte",
                sha256=lookup("datasets/{dataset}/sha256/train-images-idx3-ubyte", within=config),
            )
        ),
        train_labels=update(
            ensure(
                "data/{dataset}/train-labels-idx1-ubyte",
                sha256=lookup("datasets/{dataset}/sha256/train-labels-idx1-ubyte", within=config),
            )
        ),
        test_images=update(
            ensure(
                "data/{dataset}/t10k-images-idx3-ubyte",
                sha256=lookup("datasets/{dataset}/sha256/t10k-images-idx3-ubyte", within=config),
            )
        ),
        test_labels=update(
            ensure(
                "data/{dataset}/t10k-labels-idx1-ubyte",
                sha256=lookup("datasets/{dataset}/sha256/t10k-labels-idx1-ubyte", within=config),
            )
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
        runtime="60m",
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
