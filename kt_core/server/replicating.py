"""The procedures of replication and of the update log, and what `report` tells of a slave.

Source: the Kyoto Tycoon protocol reference, sections 2.6 and 2.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kt_core.server import log as logs
from kt_core.server.call import OK, Answer, Call
from kt_core.server.flags import PORT
from kt_core.wire.kt_rpc import Failure, RpcReply
from kt_core.wire.numbers import parse_integer, parse_real

if TYPE_CHECKING:
    from kt_core.server.server import Server

_ALL: Final = (1 << 64) - 1


def tune(call: Call) -> Answer:
    """Follow another master, or none."""
    slave = call.server.slave
    if slave is None:
        return Failure.NO_REPLICATION.reply
    host, interval = call.parameters.get(b"host", b""), call.parameters.get(b"iv")
    port = parse_integer(call.parameters.get(b"port", b"0"))
    ts = _ts(call)
    slave.follow(
        host.decode("ascii", "replace"),
        port if port > 0 else PORT,
        ts,
        None if interval is None else parse_real(interval),
    )
    call.server.log.log(logs.SYSTEM, "replication is tuned: host=%s port=%d ts=%s", slave.host, slave.port, ts)
    return OK


def files(call: Call) -> Answer:
    """Tell the files of the update log, the size of each and its last timestamp."""
    log = call.server.updates
    if log is None:
        return Failure.NO_UPDATE_LOG.reply
    return RpcReply(200, {bytes(path): b"%d:%d" % header for path, header in log.files()})


def remove(call: Call) -> Answer:
    """Remove the files of the update log that hold nothing later."""
    log = call.server.updates
    if log is None:
        return Failure.NO_UPDATE_LOG.reply
    ts = _ts(call)
    log.remove(_ALL if ts is None else ts)
    return OK


def _ts(call: Call) -> int | None:
    text = call.parameters.get(b"ts")
    if text is None:
        return None
    return int(call.server.clock() * 1000) * 1_000_000 if text == b"now" else parse_integer(text)


def report(server: Server) -> dict[str, object]:
    """Return what `report` tells of the master that is followed."""
    slave = server.slave
    if slave is None or not slave.host:
        return {}
    return {
        "repl_master_host": slave.host,
        "repl_master_port": slave.port,
        "repl_timestamp": slave.ts,
        "repl_interval": f"{slave.interval:.6f}",
        "repl_delay": f"{max(server.clock() - slave.ts / 1e9, 0):.6f}",
    }
