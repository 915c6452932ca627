#!/usr/bin/env python3
"""llama.cpp's own HTTP server on loopback. Usage: serve.py MODEL.gguf PORT [CONTEXT_TOKENS]"""
import signal
import sys
import time

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.port = int(sys.argv[2])
if hasattr(params, "hostnames"):
    params.hostnames = ["127.0.0.1"]
params.model_alias = {"tiny-random"} if isinstance(params.model_alias, set) else ["tiny-random"]
params.n_ctx = int(sys.argv[3]) if len(sys.argv) > 3 else 16384
params.n_parallel = 2
params.endpoint_metrics = True
params.endpoint_props = True
params.endpoint_slots = True
params.offline = True
params.warmup = False
# Threads that wait for each other by spinning stand still when other tests use the processors.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    time.sleep(1)
