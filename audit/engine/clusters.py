"""Workers on other machines: Ray and Dask. Both move bytes, try a unit again whose machine dies, and are optional."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from concurrent.futures import Future
from importlib import import_module
from typing import Any, Protocol

from audit.errors import CouldNotRun, UsageError
from audit.inputs.usercode import describe

from .safe_path import safe_path
from .worker import Function, as_bytes, call_on_cluster

RETRIES = 3  # our choice: how often a unit is tried elsewhere after its worker or its machine died
AHEAD = 2  # our choice: units under way for each worker, so that none waits for the next


class Engine(Protocol):
    """Who runs units.

    Attributes:
        name: for events and messages.
        limit: units that may be under way at once.
    """

    name: str
    limit: int

    def share(self, content: bytes) -> Any:
        """Keep bytes where every worker can read them; what is returned stands for them among the arguments."""

    def submit(
        self, function: Function, key: str, payload: bytes, names: list[str], sources: list[Any]
    ) -> Future[bytes]:
        """Hand a unit over."""

    def close(self, *, now: bool) -> None:
        """Let go of the workers."""


class _Closed(list[str]):
    """Folders where Ray's workers look for modules first: Ray would add the working directory of the driver."""

    def extend(self, folders: Iterable[str]) -> None:
        """Take none."""


class Ray:
    """A Ray cluster: that of an address, of the variable ``RAY_ADDRESS``, or one of this machine for the run.

    Args:
        address: ``ray`` or ``ray://host:port``.
        workers: units at once; None = every processor (GPU) of the cluster.
        device: of the units: on ``cuda`` each takes a GPU.

    Raises:
        UsageError: Ray is not installed.
        CouldNotRun: no cluster answers.
    """

    name = "ray"

    def __init__(self, address: str, workers: int | None, device: str) -> None:
        try:
            ray: Any = import_module("ray")
        except ImportError:
            raise UsageError("--executor ray needs Ray: pip install 'unlearn-audit[ray]'.") from None
        where = address if address != "ray" else os.environ.get("RAY_ADDRESS") or "local"
        own: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if where == "local" else {}
        kind = "GPU" if device.startswith("cuda") else "CPU"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # advice on its versions to come
                if not where.startswith("ray://"):  # a client adds no folder, and its head would have to know the class
                    own["job_config"] = ray.job_config.JobConfig()
                    own["job_config"]._py_driver_sys_path = _Closed()
                ray.init(address=where, log_to_driver=False, logging_level="error", configure_logging=False, **own)
            there = int(ray.cluster_resources().get(kind, 0))
        except (Exception, SystemExit) as error:
            raise CouldNotRun(
                f"no Ray cluster at {where} ({describe(error)}): start it, or name another one."
            ) from error
        if not there:
            ray.shutdown()
            raise CouldNotRun(f"the Ray cluster at {where} has no {kind}: start nodes that have some.")
        self._ray = ray
        self.limit = workers or AHEAD * there
        self._gpu = kind == "GPU"
        needs = {"num_cpus": 1, "num_gpus": int(self._gpu)}
        self._run = self._ray.remote(max_retries=RETRIES, **needs)(call_on_cluster)

    def share(self, content: bytes) -> Any:
        """Put them into the object store: a machine fetches them once."""
        return self._ray.put(as_bytes(content))

    def submit(
        self, function: Function, key: str, payload: bytes, names: list[str], sources: list[Any]
    ) -> Future[bytes]:
        """Hand a unit over."""
        future: Future[bytes] = self._run.remote(self._gpu, function, key, payload, names, *sources).future()
        return future

    def close(self, *, now: bool) -> None:  # noqa: ARG002 - what runs ends with the connection
        """Leave the cluster; one of the run ends."""
        self._ray.shutdown()


class Dask:
    """A Dask cluster: that of an address, or processes of this machine for the run.

    Args:
        address: ``dask`` or ``tcp://host:port`` of the scheduler.
        workers: units at once; None = every thread of the cluster.
        device: of the units.

    Raises:
        UsageError: Dask is not installed.
        CouldNotRun: no cluster answers.
    """

    name = "dask"

    def __init__(self, address: str, workers: int | None, device: str) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ImportError:
            raise UsageError("--executor dask needs Dask: pip install 'unlearn-audit[dask]'.") from None
        self._cluster: Any = None
        try:
            if address == "dask":
                with safe_path():
                    self._cluster = distributed.LocalCluster(
                        n_workers=workers, threads_per_worker=1, dashboard_address=None
                    )
            self._client = distributed.Client(self._cluster or address, set_as_default=False)
            there = sum(self._client.nthreads().values())
        except Exception as error:
            raise CouldNotRun(f"no Dask scheduler at {address} ({describe(error)}): start it first.") from error
        self._gpu = device.startswith("cuda")
        self.limit = workers or AHEAD * max(1, there)
        self._executor = self._client.get_executor(pure=False, retries=RETRIES)

    def share(self, content: bytes) -> Any:
        """Give them to a worker; others fetch them from there."""
        return self._client.scatter(as_bytes(content), hash=False)

    def submit(
        self, function: Function, key: str, payload: bytes, names: list[str], sources: list[Any]
    ) -> Future[bytes]:
        """Hand a unit over."""
        future: Future[bytes] = self._executor.submit(
            call_on_cluster, self._gpu, function, key, payload, names, *sources
        )
        return future

    def close(self, *, now: bool) -> None:
        """Leave the cluster; one of the run ends."""
        self._executor.shutdown(wait=not now)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
