"""Part of a Dask Gateway server's configuration: clusters that run Motherlode's image with its settings.

Gateway makes a certificate for each cluster itself and refuses whoever has none. Include it with
`load_subconfig("dask_gateway_config.py")`, or name it with `dask-gateway-server --config`.
"""

c = get_config()  # noqa: F821  given by the server that reads this file

c.ClusterConfig.scheduler_cmd = ["dask", "scheduler"]
c.ClusterConfig.worker_cmd = ["dask", "worker"]
c.ClusterConfig.worker_cores = 4
c.ClusterConfig.worker_threads = 4
c.ClusterConfig.worker_memory = "16 G"
c.ClusterConfig.idle_timeout = 0  # the scoring loop stays connected; a quiet night is no reason to end
c.ClusterConfig.environment = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false",
    "DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON": "{'MALLOC_TRIM_THRESHOLD_': None}",
    "MOTHERLODE_STORE": "/srv/motherlode/blobs",
    "MOTHERLODE_SCRATCH": "/var/lib/motherlode/scratch",
    "MOTHERLODE_TRUTH_KEY": "@/etc/motherlode/engine.key",
    "OMP_NUM_THREADS": "1",
}
