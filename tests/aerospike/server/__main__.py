"""`python -m tests.aerospike.server [NODES]`: a cluster that runs until its input ends.

The first line of output are the addresses. Each line of input is a call of a method of `Nodes`, as JSON: name,
arguments, named arguments. The answer is a line, too: what it returns, and what went wrong.
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.aerospike.server.cluster import Nodes
from tests.aerospike.server.records import Settings


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.aerospike.server", description=__doc__)
    parser.add_argument("nodes", nargs="?", type=int, default=1)
    parser.add_argument("--ports", nargs="*", type=int, default=[], help="else free ones")
    parser.add_argument("--namespaces", type=json.loads, default={"test": {}}, help="JSON: names with their settings")
    options = parser.parse_args()
    namespaces = {name: Settings(**settings) for name, settings in options.namespaces.items()}
    with Nodes(options.nodes, ports=options.ports, namespaces=namespaces) as nodes:
        _say(nodes.hosts)
        for line in sys.stdin:
            name, arguments, named = json.loads(line)
            try:
                _say([getattr(nodes, name)(*arguments, **named), None])
            except Exception as error:  # reported to whoever drives this
                _say([None, repr(error)])


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
