"""What crashes, loses data or mixes it up in the native client does none of that behind the facade.

What would end the process is tried in one of its own.
"""

from __future__ import annotations

import gc
import json
import logging
import pickle
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kt_core import aerospike
from tests.aerospike.server import Cluster
from tests.aerospike.server.wire import Code, Field, Info2, Message, Op, Particle, frame_messages
from tests.fix_aerospike import Place
from tests.processes import python

PROLOGUE = """
import gc, os, sys, threading
from kt_core import aerospike
host, port, namespace, set_name, name = sys.argv[1:]
KEY = (namespace, set_name, name)
def connect(**config):
    return aerospike.client({"hosts": [(host, int(port))], "thread_pool_size": 2, **config}).connect()
def statuses(children):
    return [os.waitpid(child, 0)[1] for child in children]
"""


@pytest.fixture
def alone(aerospike_place: Place, key: Any) -> Callable[..., str]:
    """Return a function that runs code in a process of its own and returns what it printed; a crash fails the test."""

    def alone(code: str, *options: str) -> str:
        return python(*options, "-c", PROLOGUE + code, *aerospike_place.hosts[0], *key, timeout=60)

    return alone


def send(place: Place, key: Any, digest: bytes, particle: Particle) -> None:
    """Write bin `v` with a particle that no client of today writes."""
    namespace, set_name, _ = key
    fields = {Field.NAMESPACE: namespace.encode(), Field.SET: set_name.encode(), Field.DIGEST: digest}
    message = Message(info2=Info2.WRITE, index=1000, fields=fields, ops=[Op(Code.WRITE, b"v", particle)])
    with socket.create_connection(place.hosts[0]) as connection:
        connection.sendall(frame_messages([message]))
        assert connection.recv(100)[13] == 0


class TestDeserializers:
    """§2.4: natively registered functions crash, dangle, and see what is not theirs."""

    def test_a_blob_that_is_no_text_meets_a_deserializer(self, alone: Callable[..., str]) -> None:
        code = """
BLOB = b"\\xff\\xfe\\x00\\x80"
aerospike.set_deserializer(lambda blob: ("read", blob))
client = connect(serialization=(None, lambda blob: ("own", blob)))
client.put(KEY, {"v": BLOB})
print(connect().get(KEY)[2] == {"v": ("read", BLOB)}, client.get(KEY)[2] == {"v": ("own", BLOB)})
"""
        assert alone(code) == "True True\n"

    def test_functions_that_nobody_else_keeps(self, connect: Callable[..., Any], key: Any) -> None:
        def made() -> Any:
            mark = "kept".upper()
            return connect(serialization=(lambda value: mark, lambda blob: (mark, blob)))

        client = made()
        gc.collect()
        client.put(key, {"v": (1, 2)}, serializer=aerospike.SERIALIZER_USER)
        assert client.get(key)[2] == {"v": ("KEPT", b"KEPT")}

    @pytest.mark.usefixtures("registered")
    def test_the_official_package_is_not_told_of_them(self, native: Any, client: Any, key: Any) -> None:
        aerospike.set_serializer(json.dumps)
        aerospike.set_deserializer(json.loads)
        native.put(key, {"v": b"[1]"})
        assert native.get(key)[2] == {"v": b"[1]"}
        assert client.get(key)[2] == {"v": [1]}

    @pytest.mark.usefixtures("registered")
    @pytest.mark.parametrize("protocol", [0, 2, 4])
    def test_pickles_of_old_clients_are_not_for_the_deserializer(
        self, protocol: int, aerospike_place: Place, client: Any, key: Any
    ) -> None:
        aerospike.set_deserializer(lambda blob: "wrong")
        digest = bytes(client.get_key_digest(*key))
        send(aerospike_place, key, digest, Particle(9, pickle.dumps((1, "a"), protocol)))
        assert client.get(key)[2] == {"v": (1, "a")}
        assert client.get_many([key])[0][2] == {"v": (1, "a")}

    def test_pickles_of_old_clients_may_stay_bytes(
        self, aerospike_place: Place, connect: Callable[..., Any], key: Any
    ) -> None:
        client = connect(unpickle=False)
        send(aerospike_place, key, bytes(client.get_key_digest(*key)), Particle(9, pickle.dumps((1,))))
        assert client.get(key)[2] == {"v": bytearray(pickle.dumps((1,)))}

    def test_pickles_that_would_run_code_are_refused(self, aerospike_place: Place, client: Any, key: Any) -> None:
        evil = b"cos\nsystem\n(S'exit 1'\ntR."
        send(aerospike_place, key, bytes(client.get_key_digest(*key)), Particle(9, evil))
        with pytest.raises(aerospike.exception.ClientError, match=r"os\.system"):
            client.get(key)


class TestKeys:
    """§3.9: a NUL cuts texts short, a surrogate ends the process."""

    @pytest.mark.parametrize("bad", ["a\0b", b"a\0b", "a\ud800"])
    def test_a_primary_key_that_would_be_another(self, bad: Any, client: Any, key: Any) -> None:
        bad_key = (*key[:2], bad)
        for call in (
            lambda: client.put(bad_key, {"v": 1}),
            lambda: client.get(bad_key),
            lambda: client.exists(bad_key),
            lambda: client.remove(bad_key),
            lambda: client.touch(bad_key, 1),
            lambda: client.operate(bad_key, []),
            lambda: client.get_many([bad_key]),
            lambda: client.batch_read([bad_key]),
            lambda: client.get_key_digest(*bad_key),
        ):
            with pytest.raises(aerospike.exception.ParamError, match="bytearray"):
                call()

    def test_a_surrogate_does_not_end_the_process(self, alone: Callable[..., str]) -> None:
        code = """
try:
    connect().put((*KEY[:2], "\\ud800"), {"v": 1})
except aerospike.exception.ParamError as error:
    print(error.code)
"""
        assert alone(code) == "-2\n"

    def test_bytearrays_are_keys_whatever_is_in_them(self, client: Any, key: Any) -> None:
        keys = [(*key[:2], bytearray(key[2].encode() + end)) for end in (b"", b"\0b", b"\0c")]
        for number, each in enumerate(keys):
            client.put(each, {"v": number})
        assert [client.get(each)[2]["v"] for each in keys] == [0, 1, 2]
        for each in keys:
            client.remove(each)

    @pytest.mark.parametrize("place", [0, 1])
    @pytest.mark.parametrize("bad", ["test\0x", "\ud800"])
    def test_names_of_namespaces_and_sets(self, place: int, bad: str, client: Any, key: Any) -> None:
        bad_key = (*key[:place], bad, *key[place + 1 :])
        with pytest.raises(aerospike.exception.ParamError, match="NUL"):
            client.get(bad_key)

    @pytest.mark.parametrize("bad", ["a\0b", "\ud800", 1])
    def test_names_of_bins(self, bad: Any, client: Any, key: Any) -> None:
        for call in (
            lambda: client.put(key, {bad: 1}),
            lambda: client.select(key, [bad]),
            lambda: client.remove_bin(key, [bad]),
            lambda: client.append(key, bad, "x"),
            lambda: client.increment(key, bad, 1),
            lambda: client.operate(key, [{"op": aerospike.OPERATOR_READ, "bin": bad}]),
        ):
            with pytest.raises(aerospike.exception.ParamError, match="bin"):
                call()

    def test_the_key_comes_back(self, client: Any, key: Any) -> None:
        client.put(key, {"v": 1})
        digest = client.get_key_digest(*key)
        for found in (client.get(key), client.select(key, ["v"]), client.exists(key), client.get_many([key])[0]):
            assert found[0] == (*key, digest)

    @pytest.mark.parametrize("bad", ["k", ("test", "s"), None, 3])
    def test_what_is_no_key(self, bad: Any, client: Any) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="is no key"):
            client.get(bad)


class TestValues:
    """§2.1: what the native client loses is in test_facade_serialization.py; here is what cannot be serialized."""

    @pytest.mark.parametrize("method", ["append", "prepend"])
    def test_text_that_would_be_cut(self, method: str, client: Any, key: Any) -> None:
        client.put(key, {"v": "x"})
        with pytest.raises(aerospike.exception.ParamError, match="NUL"):
            getattr(client, method)(key, "v", "a\0b")
        operator = {"op": getattr(aerospike, f"OPERATOR_{method.upper()}"), "bin": "v", "val": "a\0b"}
        with pytest.raises(aerospike.exception.ParamError, match="NUL"):
            client.operate(key, [operator])
        assert client.get(key)[2] == {"v": "x"}

    @pytest.mark.parametrize("ttl", [2**32, 2**32 + 5, 315_360_001, -4, 1.5, "5"])
    def test_a_life_that_would_wrap_around(self, ttl: Any, client: Any, key: Any) -> None:
        client.put(key, {"v": 1})
        touch = {"op": aerospike.OPERATOR_TOUCH, "val": ttl}
        for call in (
            lambda: client.put(key, {"v": 2}, {"ttl": ttl}),
            lambda: client.put(key, {"v": 2}, policy={"ttl": ttl}),
            lambda: client.touch(key, ttl),
            lambda: client.operate(key, [touch]),
        ):
            with pytest.raises(aerospike.exception.ParamError, match="ttl"):
                call()
        assert client.get(key)[1:] == ({"ttl": 2**32 - 1, "gen": 1}, {"v": 1})

    def test_touch_looks_at_the_policy(self, client: Any, key: Any) -> None:
        client.put(key, {"v": 1})
        client.touch(key, policy={"ttl": 100})
        assert 98 <= client.exists(key)[1]["ttl"] <= 100

    def test_an_operator_that_is_none(self, client: Any, key: Any) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="operator"):
            client.operate(key, ["v"])


class TestTruncating:
    """§3.8: a name ends the command it is in, and what was just written survives."""

    @pytest.mark.parametrize("name", ["va;foo", "a\0b", "a\n", "\ud800"])
    def test_names_that_would_be_others(self, name: str, client: Any, key: Any) -> None:
        for call in (lambda: client.truncate(key[0], name, 0), lambda: client.index_remove(key[0], name)):
            with pytest.raises(aerospike.exception.ParamError, match="name"):
                call()

    def test_what_was_just_written_goes_too(self, client: Any, key: Any) -> None:
        for number in range(20):
            each = (key[0], "truncated", f"{key[2]}-{number}")
            client.put(each, {"v": 1})
            assert client.truncate(key[0], "truncated", 0) == 0
            assert client.exists(each)[1] is None


class TestBatches:
    """§3.7: natively, batches never raise."""

    def test_a_cluster_that_is_gone_is_an_error(self, cluster: Cluster) -> None:
        client = aerospike.client({"hosts": cluster.hosts, "thread_pool_size": 2, "tend_interval": 250}).connect()
        keys = [("test", "s", "a"), ("test", "s", "b")]
        client.put(keys[0], {"v": 1})
        cluster.stop()
        operators = [{"op": aerospike.OPERATOR_WRITE, "bin": "v", "val": 1}]
        for call in (
            lambda: client.get_many(keys),
            lambda: client.exists_many(keys),
            lambda: client.batch_operate(keys, operators),
        ):
            with pytest.raises(aerospike.exception.AerospikeError):
                call()
        client.close()

    def test_a_row_that_failed_is_an_error(self, client: Any, key: Any) -> None:
        client.put(key, {"v": 1})
        for keys in ([key, ("nowhere", "s", "k")], [("nowhere", "s", "k"), key]):
            with pytest.raises(aerospike.exception.NamespaceNotFound):
                client.get_many(keys)

    def test_digests_have_no_key_to_be_sent(self, connect: Callable[..., Any], key: Any) -> None:
        """Natively, a batch that writes ends the process."""
        send = {"key": aerospike.POLICY_KEY_SEND}
        for client, policies in (connect(policies=send), ()), (connect(), ({}, send)):
            client.put(key, {"v": 1})
            digests = [(*key[:2], None, client.get_key_digest(*key))] * 2
            with pytest.raises(aerospike.exception.ParamError, match="digests"):
                client.batch_remove(digests, *policies)
        assert client.get_many(digests)[0][2] == {"v": 1}
        assert client.batch_remove(digests).batch_records[0].result == 0


class TestErrors:
    def test_an_error_keeps_what_it_says(self, client: Any, key: Any) -> None:
        """Natively, it says what the last error of its class said, in whatever thread that was."""
        caught = []
        for each in (key, (*key[:2], "another")):
            with pytest.raises(aerospike.exception.RecordNotFound) as raised:
                client.remove(each)
            caught.append(raised.value)
        assert [error.key[2] for error in caught] == [key[2], "another"]
        assert [error.code for error in caught] == [2, 2]
        assert caught[0].msg == caught[0].args[1]

    def test_an_error_of_a_callback_comes_out(self, client: Any, key: Any) -> None:
        """Natively, 'Callback function contains an error' is all that is left of it."""
        client.put(key, {"v": 1})

        def fail(record: Any) -> None:
            raise LookupError("mine")

        for search in (client.query(*key[:2]), client.scan(*key[:2])):
            with pytest.raises(LookupError, match="mine"):
                search.foreach(fail)


class TestLogHandlers:
    @pytest.fixture(autouse=True)
    def _quiet_again(self) -> Any:
        yield
        aerospike.set_log_level(aerospike.LOG_LEVEL_ERROR)
        aerospike.set_log_handler(None)

    def test_an_exception_in_it_breaks_no_call(
        self, connect: Callable[..., Any], key: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*event: Any) -> None:
            raise LookupError("mine")

        aerospike.set_log_handler(fail)
        aerospike.set_log_level(aerospike.LOG_LEVEL_TRACE)
        with caplog.at_level(logging.ERROR, "kt_core.aerospike.log"):
            client = connect()
            client.put(key, {"v": 1})
            assert client.get(key)[2] == {"v": 1}
        assert "mine" in caplog.text

    def test_one_that_nobody_else_keeps(self, connect: Callable[..., Any]) -> None:
        events: list[Any] = []
        for _ in range(3):
            aerospike.set_log_handler(lambda *event: events.append(event))
            gc.collect()
        aerospike.set_log_level(aerospike.LOG_LEVEL_TRACE)
        connect()
        assert events

    @pytest.mark.parametrize("end", ["", "client.close()", "del client", "sys.exit(0)"])
    def test_it_may_be_called_until_the_process_ends(self, end: str, alone: Callable[..., str]) -> None:
        code = f"""
aerospike.set_log_handler(lambda *event: None)
aerospike.set_log_level(aerospike.LOG_LEVEL_TRACE)
client = connect(tend_interval=250)
client.put(KEY, {{"v": 1}})
{end}
"""
        assert alone(code, "-X", "dev") == ""

    def test_it_is_not_called_while_the_interpreter_ends(self, aerospike_place: Place) -> None:
        code = """
import atexit, sys
events = []
def last():
    events.clear()
    aerospike.client({"hosts": [(sys.argv[1], int(sys.argv[2]))], "thread_pool_size": 2}).connect()
    print(events)
atexit.register(last)  # the first that is registered comes last
from kt_core import aerospike
aerospike.set_log_handler(lambda *event: events.append(event))
aerospike.set_log_level(aerospike.LOG_LEVEL_TRACE)
"""
        assert python("-c", code, *aerospike_place.hosts[0]) == "[]\n"


class TestClosing:
    """§3.11: a native close beside other threads crashed or hung in three runs of fifteen."""

    def test_beside_threads_that_are_in_calls(self, alone: Callable[..., str]) -> None:
        code = """
import time
client = connect()
client.put(KEY, {"v": 1})
wrong, going = [], True
def work():
    while going:
        try:
            if client.get(KEY)[2] != {"v": 1}:
                wrong.append("value")
        except aerospike.exception.ClusterError:
            pass
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(25):
    time.sleep(0.01)
    client.close()
    client.connect()
going = False
for thread in threads:
    thread.join()
print(wrong, client.get(KEY)[2])
client.close()
time.sleep(0.05)
print(len(os.listdir("/proc/self/task")))
"""
        assert alone(code) == "[] {'v': 1}\n1\n"

    def test_at_the_end_of_a_process_whose_threads_go_on(self, alone: Callable[..., str]) -> None:
        code = """
import time
client = connect()
client.put(KEY, {"v": 1})
def work():
    while True:
        client.get(KEY)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
print("end")
"""
        assert alone(code) == "end\n"

    def test_while_it_is_searched(self, client: Any, key: Any) -> None:
        client.put(key, {"v": 1})
        query = client.query(*key[:2])
        query.foreach(lambda record: client.close())
        with pytest.raises(aerospike.exception.ClusterError):
            query.results()
        client.connect()
        assert query.results()

    def test_from_another_thread_than_connected(self, client: Any, key: Any) -> None:
        thread = threading.Thread(target=client.close)
        thread.start()
        thread.join()
        assert not client.is_connected()


FORKED = """
import time
def work(client, number):
    key = (*KEY[:2], f"{KEY[2]}-{number}")
    for _ in range(300):
        client.put(key, {"v": number})
        if client.get(key)[2] != {"v": number}:
            os._exit(1)
    client.remove(key)
"""


class TestForks:
    """§3.12: natively answers are swapped between parent and child, and the child ends with SIGSEGV."""

    @pytest.mark.parametrize("config", ["", "shm={}"])
    def test_parent_and_children_go_on(self, config: str, alone: Callable[..., str]) -> None:
        code = f"""
client = connect({config})
children = []
for number in range(3):
    child = os.fork()
    if not child:
        work(client, number)
        sys.exit(0)
    children.append(child)
work(client, "parent")
print(statuses(children))
"""
        assert alone(FORKED + code) == "[0, 0, 0]\n"

    @pytest.mark.parametrize(
        "child",
        [
            "sys.exit(0)",
            "client.close(); sys.exit(0)",
            "client.close(); client.connect(); work(client, 1); client.close(); sys.exit(0)",
            "del client, query, page; gc.collect(); sys.exit(0)",
            "client = query = page = None; sys.exit(0)",
            "query.results(); sys.exit(0)",
            "page.results(); sys.exit(0)",
        ],
    )
    def test_whatever_the_child_does(self, child: str, alone: Callable[..., str]) -> None:
        code = f"""
client = connect()
client.put(KEY, {{"v": 1}})
query, page = client.query(*KEY[:2]), client.query(*KEY[:2])
query.results()
page.paginate()
page.results()
child = os.fork()
if not child:
    {child}
print(statuses([child]), client.get(KEY)[2])
"""
        assert alone(FORKED + code, "-W", "error") == "[0] {'v': 1}\n"

    def test_a_child_of_a_process_with_busy_threads(self, alone: Callable[..., str]) -> None:
        code = """
client = connect()
going = True
def busy():
    while going:
        client.exists(KEY)
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for number in range(4):
    child = os.fork()
    if not child:
        going = False
        work(client, number)
        sys.exit(0)
    children.append(child)
print(statuses(children))
going = False
"""
        assert alone(FORKED + code) == "[0, 0, 0, 0]\n"

    def test_searches_of_parent_and_children_are_apart(self, alone: Callable[..., str]) -> None:
        """Natively they draw the same numbers for their searches, and a server refuses the second of a number."""
        code = """
client = connect()
sets = ["of-parent", "of-child-1", "of-child-2"]
for each in sets:
    client.put((KEY[0], each, KEY[2]), {"v": each})
queries = {each: client.query(KEY[0], each) for each in sets}
def search(each, times=50):
    return all({bins["v"] for _, _, bins in queries[each].results()} == {each} for _ in range(times))
print(*[search(each, 1) for each in sets])
children = []
for each in sets[1:]:
    child = os.fork()
    if not child:
        os._exit(not search(each))
    children.append(child)
print(search(sets[0]), statuses(children))
for each in sets:
    client.remove((KEY[0], each, KEY[2]))
"""
        assert alone(code) == "True True True\nTrue [0, 0]\n"

    def test_while_another_thread_is_connecting(self) -> None:
        code = """
import os, signal, socket, sys, threading
from kt_core.aerospike.native import Native, official
silent = socket.create_server(("127.0.0.1", 0))
native = Native({"hosts": [silent.getsockname()], "thread_pool_size": 2, "connect_timeout": 200})
def connect():
    try:
        native.client
    except official().exception.AerospikeError:
        return 0
thread = threading.Thread(target=connect)
thread.start()
connection = silent.accept()
child = os.fork()
if not child:
    signal.alarm(20)
    os._exit(connect())
print(os.waitpid(child, 0)[1])
thread.join()
"""
        assert python("-c", code) == "0\n"

    def test_a_search_that_outlives_its_client(self, alone: Callable[..., str]) -> None:
        code = """
client = connect()
query = client.query(*KEY[:2])
query.paginate()
query.results()
client.close()
child = os.fork()
if not child:
    sys.exit(0)
print(statuses([child]))
"""
        assert alone(code) == "[0]\n"
