"""The data sets.

Input: none; the sources are tried in order, the local folder of the configuration first. The script is no input: an edit to it
need not fetch again what its hashes prove right. All sources are tried three times, as a network may fail for a moment.
Those of the user's own come from where the configuration says.
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
    wildcard_constraints:
        dataset="|".join(name for name in config["datasets"] if name not in OWN_DATA) or "(?!)",
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
        script=unrecorded(from_here("src/download.py")),
    shell:
        """
        exec python3 {params.script:q} \
            --dataset {wildcards.dataset:q} \
            --hashes {params.hashes:q} \
            --local {resources.local_folder:q} \
            --folder {params.folder:q} \
            >{log:q} 2>&1
        """


rule import_data:
    input:
        lambda wildcards: own_files(wildcards.dataset),
    output:
        [
            update(f"data/{{dataset}}/{name}")
            for name in (
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
            )
        ],
    log:
        "<results>/logs/import_data/{dataset}.log",
    benchmark:
        "<results>/benchmarks/import_data/{dataset}.tsv"
    wildcard_constraints:
        dataset="|".join(OWN_DATA) or "(?!)",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="8GB",
        runtime="60m",
    params:
        source=lambda wildcards: to_json({key: os.path.expanduser(place) for key, place in OWN_DATA[wildcards.dataset].items()}),
        hashes=lambda wildcards: to_json(config["datasets"][wildcards.dataset].get("sha256", {})),
        folder=subpath(output[0], parent=True),
        script=unrecorded(from_here("src/import_data.py")),
    shell:
        """
        exec python3 {params.script:q} \
            --dataset {wildcards.dataset:q} \
            --source {params.source:q} \
            --hashes {params.hashes:q} \
            --folder {params.folder:q} \
            2>{log:q}
        """
