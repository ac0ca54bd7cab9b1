"""Several workers, each a process with its own devices, that train one model together with
`MultiWorkerMirroredStrategy`.

TF_CONFIG names them in TensorFlow's format:

    {"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}

The first worker is the chief (or the one of type "chief", if there is one), which alone writes the
run; each of the others keeps its image pools beside the checkpoints. TensorFlow's coordination
service, which the chief runs, detects lost workers.
"""

import contextlib
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2

# the only place where the coordination service's timeouts can be set
from tensorflow.python.eager import context

from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.strategy import make_strategy

VARIABLE = "TF_CONFIG"
_EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)
_JOBS = ("chief", "worker")
_FOUND_WITHIN_SECONDS = 30.0  # names of hosts that are just starting resolve late
_SILENT_SECONDS = 30  # then a worker is lost
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


@dataclass(frozen=True)
class Cluster:
    """The contents of TF_CONFIG.

    Attributes:
        tasks: (job, index in that job, address) of each worker; the first is the chief.
        index: index of this process among them.
    """

    tasks: tuple[tuple[str, int, str], ...]
    index: int


def read_cluster(text: str) -> Cluster:
    """Reads TF_CONFIG.

    Raises:
        UserError: it is malformed, or names a job that this training does not have.
    """
    try:
        stated = json.loads(text)
        jobs = {
            job: [str(address) for address in addresses]
            for job, addresses in stated["cluster"].items()
        }
        job, index = stated["task"]["type"], int(stated["task"]["index"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{VARIABLE}: cannot be parsed ({type(error).__name__}: {error}); write it like "
            f"{_EXAMPLE}"
        ) from error
    if strange := sorted({*jobs, job} - set(_JOBS)):
        raise UserError(
            f"{VARIABLE}: job {strange[0]!r} is not part of this training; valid are "
            f"{', '.join(_JOBS)}"
        )
    tasks = [
        (name, number, address)
        for name in _JOBS
        for number, address in enumerate(jobs.get(name, []))
    ]
    here = [position for position, task in enumerate(tasks) if task[:2] == (job, index)]
    if not here:
        raise UserError(f"{VARIABLE}: its cluster has no {job} {index}; task.index counts from 0")
    addresses = [address for _, _, address in tasks]
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise UserError(f"{VARIABLE}: {address!r} is not an address; write host:port")
        if addresses.count(address) > 1:
            raise UserError(
                f"{VARIABLE}: {address} occurs twice; each worker needs its own address"
            )
    return Cluster(tuple(tasks), here[0])


class Workers:
    """All workers of a training, seen from this one; a single process is one worker.

    Args:
        strategy: a strategy over all devices of all workers.
        cluster: None for a single process.
    """

    def __init__(self, strategy: tf.distribute.Strategy, cluster: Cluster | None = None):
        self.strategy = strategy
        self.tasks = cluster.tasks if cluster else (("worker", 0, ""),)
        self.index = cluster.index if cluster else 0
        self._sum = tf.function(self._summed, autograph=False)

    @property
    def several(self) -> bool:
        return len(self.tasks) > 1

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @property
    def replicas(self) -> range:
        """The numbers of this worker's replicas among all replicas, which are counted worker by
        worker.
        """
        own = self.strategy.num_replicas_in_sync // len(self.tasks)
        return range(self.index * own, (self.index + 1) * own)

    def from_chief(self, number: int) -> int:
        """The chief's value of `number`; waits for all workers."""
        return int(self._shared([number if self.is_chief else 0])[0])

    def wait(self) -> None:
        """Waits for all workers."""
        self.from_chief(0)

    def require_same(self, **values: Any) -> None:
        """Raises UserError, on all workers, if a value, which must be plain JSON, differs between
        them.
        """
        if not self.several:
            return
        # sums stay exact in int64
        digests = [int(files.sha256_of_json(value)[:8], 16) for value in values.values()]
        chosen = [
            digest
            for index in range(len(self.tasks))
            for digest in (digests if index == self.index else [0] * len(digests))
        ]
        table = [
            self._shared(chosen)[start : start + len(digests)]
            for start in range(0, len(chosen), len(digests))
        ]
        for position, name in enumerate(values):
            others = [
                index for index, row in enumerate(table) if row[position] != table[0][position]
            ]
            if others:
                own = f" (here {values[name]})" if isinstance(values[name], str) else ""
                raise UserError(
                    f"{VARIABLE}: worker {others[0]} has other {name} than worker 0{own}; run the "
                    "same command on each host"
                )

    def _shared(self, numbers: list[int]) -> list[int]:
        if not self.several:
            return numbers
        totals = self._sum(tf.constant(numbers, tf.int64))
        return [int(total) for total in totals.numpy()]

    def _summed(self, numbers: tf.Tensor) -> tf.Tensor:
        """Sums over workers; on each worker only the first replica contributes."""
        first = self.replicas.start

        def own() -> tf.Tensor:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return numbers if int(tf.get_static_value(replica)) == first else tf.zeros_like(numbers)

        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, self.strategy.run(own), axis=None)

    @contextlib.contextmanager
    def loss_told(self) -> Iterator[None]:
        """Turns TensorFlow's errors at the loss of a worker into a RunError of one line."""
        try:
            yield
        except tf.errors.OpError as error:
            if not self.several or not (isinstance(error, _LOST) or "ollective" in error.message):
                raise
            raise RunError(
                f"{self._lost(error.message)}; start all workers again with the same command to "
                "continue"
            ) from error

    def _lost(self, message: str) -> str:
        named = re.findall(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)", message)
        own = self.tasks[self.index][:2]
        gone = [task for task in self.tasks if task[:2] != own and (task[0], str(task[1])) in named]
        gone = gone or (
            [task for task in self.tasks if task[:2] != own] if len(self.tasks) == 2 else []
        )
        return f"worker {gone[0][2]} is lost" if gone else "a worker is lost"


def join_workers(devices: int | None) -> Workers:
    """Joins the workers that TF_CONFIG names; without it this process is the only one. TensorFlow
    accepts a cluster only before anything else uses it.

    Args:
        devices: number for each worker; see `make_strategy`. CPUs cannot be split here.

    Raises:
        UserError: TF_CONFIG is wrong, or does not fit this machine.
        RunError: another worker did not appear.
    """
    if not os.environ.get(VARIABLE):
        os.environ.pop(VARIABLE, None)  # TensorFlow reads it too and fails on an empty one
    cluster = read_cluster(os.environ[VARIABLE]) if VARIABLE in os.environ else None
    if cluster is None or len(cluster.tasks) == 1:
        return Workers(make_strategy(devices))
    gpus = tf.config.list_physical_devices("GPU")
    if devices is not None and devices > max(1, len(gpus)):
        raise UserError(
            f"--devices={devices}: worker {cluster.index} has {len(gpus)} GPUs; without a GPU a "
            "worker is one device"
        )
    _check_addresses(cluster)
    try:
        tf.config.set_visible_devices(gpus[:devices], "GPU")
        for gpu in gpus[:devices]:
            tf.config.experimental.set_memory_growth(gpu, True)
        jobs = [
            coordination_config_pb2.CoordinatedJob(
                name=job, num_tasks=sum(task[0] == job for task in cluster.tasks)
            )
            for job in _JOBS
            if any(task[0] == job for task in cluster.tasks)
        ]
        context.context().configure_coordination_service(
            "standalone",
            f"/job:{cluster.tasks[0][0]}/replica:0/task:0",
            heartbeat_timeout_in_ms=_SILENT_SECONDS * 1000,
            coordinated_jobs=jobs,
        )
        others = ", ".join(
            address for index, (_, _, address) in enumerate(cluster.tasks) if index != cluster.index
        )
        log(f"worker {cluster.index} of {len(cluster.tasks)}: waiting for {others}")
        # Python could not handle SIGINT while TensorFlow waits
        interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        signal.signal(signal.SIGINT, interrupt)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"{VARIABLE}: set for a process that has already used TensorFlow; only `tfcyclegan "
            "train` supports workers"
        ) from error
    except tf.errors.OpError as error:
        raise RunError(
            f"{VARIABLE}: the workers did not find each other ({error.message.splitlines()[0]}); "
            "check that each is started and can reach the others' addresses"
        ) from error
    # The length of the data is known, so workers need not ask each other at each step whether there
    # is more.
    strategy.extended.experimental_enable_get_next_as_optional = False
    return Workers(strategy, cluster)


def _check_addresses(cluster: Cluster) -> None:
    """Raises UserError if a host has no address, or this worker's port is taken."""
    deadline = time.monotonic() + _FOUND_WITHIN_SECONDS
    for _, _, address in cluster.tasks:
        host = address.rpartition(":")[0].strip("[]")
        while True:
            try:
                socket.getaddrinfo(host, None)
                break
            except (OSError, UnicodeError) as error:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"{VARIABLE}: host {host!r} cannot be resolved ({error}); correct the "
                        f"address {address}"
                    ) from error
                time.sleep(1)
    own = cluster.tasks[cluster.index][2]
    try:
        with socket.create_server(("", int(own.rpartition(":")[2]))):
            pass
    except OSError as error:
        raise UserError(
            f"{VARIABLE}: {own}: its port is not available on this machine ({error.strerror}); "
            "choose another"
        ) from error
