"""A trainer that describes itself and then does as its mode says: `crash` ends at once, `hang` waits for ever.

Usage: fake_trainer.py MODE --describe | fake_trainer.py MODE REQUEST...
"""
import json
import os
import socket
import sys
import time

mode = sys.argv[1]
if sys.argv[2] == "--describe":
    can = {"name": "fake", "version": "1", "protocol": 1, "models": ["mlp", "gpt"], "optimizers": ["sgd"],
           "losses": ["squared_error", "cross_entropy"], "precisions": ["fp32"], "schedules": ["1f1b"],
           "data_forms": ["samples", "stream"], "max_data": 64, "max_micro_batches": 64, "uneven_micro_batches": True, "tied": True}
    if mode == "nothing":
        can["models"] = []
    print(json.dumps(can))
    sys.exit(0)
if mode == "crash":
    print("error: no device is left", file=sys.stderr)
    sys.exit(3)
folder = sys.argv[2] + "/evidence/rank_00000"
os.makedirs(folder)
with open(folder + "/hello.json", "w") as file:
    json.dump({"rank": 0, "pid": os.getpid(), "host": socket.gethostname()}, file)
time.sleep(1000)
