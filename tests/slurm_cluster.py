"""A Slurm cluster of one node on this machine, with its own configuration, key, state and ports.

Nothing of it is in ``/etc`` or ``/var``, it talks over 127.0.0.1 alone, and nothing of it is left when it is stopped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRAMS = ('munged', 'slurmctld', 'slurmd', 'sbatch', 'srun', 'scontrol', 'squeue', 'scancel')
PATH = f'{os.environ.get("PATH", "")}:/usr/sbin:/sbin'
FINAL_STATES = ('COMPLETED', 'FAILED', 'CANCELLED', 'TIMEOUT', 'NODE_FAIL', 'OUT_OF_MEMORY')
# Tasks of the tests run side by side on any machine: the CPUs are promised, not bound.
CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
PlugStackConfig={folder}/plugstack.conf
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
KillWait=2
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=tests Nodes=localhost Default=YES MaxTime=10 State=UP
"""


def why_not() -> str | None:
    """The reason that no cluster can be started here, or None."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        return f'Slurm is not installed ({", ".join(missing)})'
    return None if os.getuid() == 0 else 'the daemons of the cluster run as root'


class SlurmCluster:
    """A running cluster; :func:`started_cluster` makes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        unwanted = ('SLURM_', 'SBATCH_', 'SRUN_')
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        self._config = folder / 'slurm.conf'
        self.environment = {**kept, 'PATH': PATH, 'SLURM_CONF': str(self._config)}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def call(self, *words: object, timeout_s: float = 60, **environment: str) -> str:
        """Run a command in the cluster's environment; its output, after exit code 0."""
        done = subprocess.run(
            [str(word) for word in words],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f'{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}'
        return done.stdout

    def submit(self, *arguments: object, **environment: str) -> str:
        """Hand a batch job in; its id."""
        return self.call('sbatch', '--parsable', *arguments, **environment).strip()

    def jobs(self) -> dict[str, dict[str, str]]:
        """What Slurm knows of each job, by job id; a task of an array is called ``JOB_INDEX``."""
        known = {}
        for line in self.call('scontrol', '--oneliner', 'show', 'jobs').splitlines():
            fields = dict(word.split('=', 1) for word in line.split() if '=' in word)
            if 'JobId' in fields:
                index = fields.get('ArrayTaskId')
                known[f'{fields["ArrayJobId"]}_{index}' if index else fields['JobId']] = fields
        return known

    def wait_for(self, *names: str, timeout_s: float = 120) -> None:
        """Wait until jobs have ended; the tasks of an array have no names of their own before they start."""

        def ended() -> bool:
            known = self.jobs()
            return all(name in known and known[name]['JobState'] in FINAL_STATES for name in names)

        wait_until(ended, timeout_s)

    def start(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        ports = _free_ports(2)
        host = socket.gethostname().partition('.')[0]
        config = CONFIG.format(folder=self.folder, host=host, controller_port=ports[0], node_port=ports[1])
        self._config.write_text(config)
        (self.folder / 'plugstack.conf').touch()
        for name in ('state', 'spool'):
            (self.folder / name).mkdir()
        key = self.folder / 'munge.key'
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        munge = [f'--{name}-file={self.folder}/munge.{name}' for name in ('key', 'log', 'pid', 'seed')]
        self._start_daemon('munged', '--foreground', '--force', f'--socket={self.folder}/munge.socket', *munge)
        wait_until((self.folder / 'munge.socket').exists, 20)
        self._start_daemon('slurmctld', '-D')
        self._start_daemon('slurmd', '-D')
        wait_until(self._takes_jobs, 60)

    def stop(self) -> None:
        """End all jobs, then the daemons, whatever state they are in."""
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.call('scancel', '--full', '--signal=KILL', '--user=root')
            self.call('scancel', '--user=root')
            wait_until(lambda: not self.call('squeue', '--noheader').strip(), 30)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        # What Slurm did not end, such as the processes of a job when a daemon had failed.
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self, program: str = '', **variables: str) -> list[int]:
        """Processes of the cluster and its jobs, known by their environment.

        Args:
            program: A part of the command line.
            variables: What else their environment says.
        """
        wanted = {f'{key}={value}'.encode() for key, value in {'SLURM_CONF': self._config, **variables}.items()}
        found = []
        for folder in Path('/proc').glob('[0-9]*'):
            # Others end while they are looked at.
            with contextlib.suppress(OSError):
                has_variables = wanted <= set((folder / 'environ').read_bytes().split(b'\0'))
                if has_variables and program.encode() in (folder / 'cmdline').read_bytes():
                    found.append(int(folder.name))
        return found

    def logs(self) -> str:
        """The last lines that each daemon wrote, for a failure's report."""
        parts = [
            f'{path.name}:\n{path.read_text(errors="replace")[-3000:]}' for path in sorted(self.folder.glob('*.log'))
        ]
        return '\n'.join(parts)

    def _start_daemon(self, name: str, *arguments: str) -> None:
        # A session of its own: an interrupted test run ends the daemons itself, jobs first.
        with (self.folder / f'{name}.out.log').open('wb') as log:
            self._daemons.append(
                subprocess.Popen(
                    [str(shutil.which(name, path=PATH)), *arguments],
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def _takes_jobs(self) -> bool:
        ended = [daemon.args[0] for daemon in self._daemons if daemon.poll() is not None]  # type: ignore[index]
        assert not ended, f'{ended} ended:\n{self.logs()}'
        done = subprocess.run(
            ['sinfo', '--noheader', '--format=%T'], env=self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() == 'idle'


@contextlib.contextmanager
def started_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """A cluster that lives in a folder, and ends with the context."""
    cluster = SlurmCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    """Ask again and again.

    Raises:
        TimeoutError: It does not become true.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f'{timeout_s:g} s passed')
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(('127.0.0.1', 0))
        return [each.getsockname()[1] for each in sockets]
