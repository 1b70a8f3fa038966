"""The data sets.

Input: none; the sources are tried in order, the local folder of the configuration first. The script is no input: an edit to it
need not fetch again what its hashes prove right. All sources are tried three times, as a network may fail for a moment.
Output: data/{dataset}/*-ubyte, four uncompressed IDX files, held to their SHA-256. As an `update` they are not deleted before the
job: it replaces each in one step by a right one, so that old files outlive a download that fails, and so that workflows that share
a folder `data` may download at once. After a failure Snakemake itself puts the old bytes back, which is not one step.
"""


rule download:
    output:
        [
            update(ensure(f"data/{{dataset}}/{name}", sha256=lookup(f"datasets/{{dataset}}/sha256/{name}", within=config)))
            for name in (
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
            )
        ],
    log:
        "<results>/logs/download/{dataset}.log",
    benchmark:
        "<results>/benchmarks/download/{dataset}.tsv"
    retries: 2
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        local_folder=config["local_folder"],
        mem="2GB",
        runtime="60m",
    params:
        hashes=lambda wildcards: to_json(config["datasets"][wildcards.dataset]["sha256"]),
        folder=subpath(output[0], parent=True),
    shell:
        """
        exec python3 src/download.py \
            --dataset {wildcards.dataset:q} \
            --hashes {params.hashes:q} \
            --local {resources.local_folder:q} \
            --folder {params.folder:q} \
            >{log:q} 2>&1
        """
