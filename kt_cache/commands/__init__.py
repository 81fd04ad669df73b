"""Commands about a cache, the same for every framework: ``ping``, ``stats``, ``keys``, ``ttl``, ``delete`` and more.

A framework's command line has `add_commands` describe them to its parser and `run` do them, and says what its site
is. What cannot be done is a `CommandFailed`, or an error of the store.
"""

from kt_cache.commands.table import COMMANDS, add_commands, run
from kt_cache.commands.target import Site, Target

__all__ = ["COMMANDS", "Site", "Target", "add_commands", "run"]
