"""Starts the fork server (``datasets.formats.server``); run by ``datasets.sandbox``, never by hand.

The empty network comes before everything else: the kernel grants it only to a process that has no threads yet.
"""

import importlib
import sys

from datasets import walls

if __name__ == "__main__":
    network = walls.enter_empty_network()
    importlib.import_module("datasets.formats.server").main(int(sys.argv[1]), network=network)
