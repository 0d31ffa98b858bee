"""Throw-away servers, made by scripts/lib.sh and spoken to by psycopg2.

An instance of several lanes leases them from a coordinator, a second server. How
lanes are had is said in Fleet.instance() alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg2

ROOT = Path(os.environ["IDGEN_BENCH_ROOT"])
WORK = Path(os.environ["IDGEN_BENCH_WORK"])
PG_BIN = Path(os.environ["IDGEN_BENCH_PG_BIN"])

# What no measurement here is about. Spilling the series that calls are counted on,
# a checkpoint or a parallel plan in the midst of it would be.
COMMON_SETTINGS = (
    "jit = off",
    "shared_buffers = 1GB",
    "work_mem = 256MB",
    "maintenance_work_mem = 512MB",
    "max_wal_size = 8GB",
    "min_wal_size = 2GB",
    "checkpoint_timeout = 30min",
    "autovacuum = off",
    "max_parallel_workers_per_gather = 0",
    "max_parallel_maintenance_workers = 0",
)


class NotSynchronized(Exception):
    """The instance's clock is in another state, so its figures would not count."""


def _lib(command: str, *arguments: str) -> None:
    subprocess.run(
        ["bash", "-c", f'. "$0"; {command}', str(ROOT / "scripts/lib.sh"), *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
    )


class Server:
    """A server in a folder of its own below the work folder; stopped by stop()."""

    def __init__(self, name: str, *settings: str) -> None:
        self.folder = WORK / f"bench-{name}"
        self.settings = settings
        self.stop()
        _lib('start_cluster "$@"', str(self.folder), *settings)
        out = subprocess.run(
            ["bash", "-c", '. "$0"; socket_of "$1"', str(ROOT / "scripts/lib.sh"), str(self.folder)],
            check=True, capture_output=True, text=True)
        self.socket = out.stdout.strip()

    def stop(self, mode: str = "fast") -> None:
        if (self.folder / "data/postmaster.pid").exists():
            _lib('as_server "$pg_bin/pg_ctl" -D "$1/data" -m "$2" -w stop >/dev/null', str(self.folder), mode)

    def start(self, **environment: str) -> None:
        """Starts it again, with these variables added to its environment."""
        pairs = [f"{name}={value}" for name, value in environment.items()]
        _lib('folder=$1; shift; as_server env "$@" "$pg_bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w start >/dev/null',
             str(self.folder), *pairs)

    def connect(self, user: str = "postgres") -> Any:
        connection = psycopg2.connect(self.conninfo(user))
        connection.autocommit = True
        return connection

    def conninfo(self, user: str = "postgres") -> str:
        return f"host={self.socket} user={user} dbname=postgres"

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Runs them in a session of their own; the rows of the last."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, *statements: str) -> Any:
        return self.run(*statements)[0][0]


class Instance(Server):
    """A server that issues IDs, with the extension in its database."""

    def __init__(self, name: str, *settings: str) -> None:
        super().__init__(name, *COMMON_SETTINGS, *settings)
        self._await("SELECT state = 'active' FROM idgen_internal.instance()",
                    "CREATE EXTENSION IF NOT EXISTS idgen")

    def _await(self, condition: str, first: str = "SELECT 1", seconds: float = 30) -> bool:
        """Waits until the condition holds; False if it doesn't in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.value(first, condition):
                    return True
            except psycopg2.Error:
                pass
            time.sleep(0.1)
        return False

    def clock_state(self) -> str:
        return str(self.value("SELECT state FROM snowflake_clock"))

    def require_synchronized(self, seconds: float = 60) -> None:
        """Waits for the state that every figure is measured in, or refuses."""
        if not self._await("SELECT c.state = 'synchronized' AND i.state = 'active' "
                           "FROM snowflake_clock AS c, snowflake_instance AS i", seconds=seconds):
            states = self.run("SELECT i.state, c.state, i.last_error FROM snowflake_clock AS c, snowflake_instance AS i")
            raise NotSynchronized(f"{self.folder.name} is not active and synchronized: {states}")

    def worker_pid(self) -> int:
        return int(self.value("SELECT worker_pid FROM snowflake_instance"))


class FakedInstance(Instance):
    """An instance whose wall clock can be stepped: it runs under libfaketime."""

    def __init__(self, name: str, *settings: str) -> None:
        super().__init__(name, *settings)
        self.stop()
        # Beside the server's folder: what is in there is the server's user's.
        self.clock_file = WORK / f"bench-{name}.clock"
        self.step_clock(0)
        self.start(LD_PRELOAD=os.environ["IDGEN_BENCH_FAKETIME"], FAKETIME_TIMESTAMP_FILE=str(self.clock_file),
                   FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1")

    def step_clock(self, seconds: float) -> None:
        """Sets the server's wall clock to so many seconds off the true time."""
        new = self.clock_file.with_suffix(".new")
        new.write_text(f"{seconds:+.6f}\n")
        new.chmod(0o644)
        new.rename(self.clock_file)


class Fleet:
    """The coordinator that lanes are leased from, started when it is first needed."""

    def __init__(self) -> None:
        self.coordinator: Server | None = None
        self._instances: list[Server] = []

    def registry(self) -> str:
        if self.coordinator is None:
            self.coordinator = Server("coordinator", "shared_preload_libraries = ''", "fsync = on")
            self.coordinator.run("CREATE EXTENSION idgen", "CREATE ROLE leaser LOGIN",
                                 "SELECT snowflake_allow_leasing('leaser')")
        return f"postgresql://leaser@/postgres?host={self.coordinator.socket}"

    def instance(self, name: str, lanes: int, *settings: str) -> Instance:
        """An instance with so many lanes in the default layout, synchronized."""
        made = Instance(name, f"idgen.registry = '{self.registry()}'", f"idgen.lanes = {lanes}", *settings)
        self._instances.append(made)
        made.require_synchronized()
        return made

    def local(self, name: str, *settings: str) -> Instance:
        """An instance with a record of its own: one lane."""
        made = Instance(name, *settings)
        self._instances.append(made)
        made.require_synchronized()
        return made

    def faked(self, name: str, *settings: str) -> FakedInstance:
        made = FakedInstance(name, *settings)
        self._instances.append(made)
        made.require_synchronized()
        return made

    def stop_instances(self) -> None:
        while self._instances:
            self._instances.pop().stop()

    def stop(self) -> None:
        self.stop_instances()
        if self.coordinator is not None:
            self.coordinator.stop()
            self.coordinator = None


def end_worker(instance: Instance) -> None:
    """The worker's orderly end; the postmaster starts another."""
    os.kill(instance.worker_pid(), signal.SIGTERM)
