"""Containers for tests: from images that are there already, on a network that only this machine sees, hurt at will.

No image is ever pulled: what a run tests is what was built before (`deploy/docker/local/build`), and a
missing engine or image is an error, never a skip.
"""

import os
import signal
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from tests.e2e.waiting import Late, until

if TYPE_CHECKING:
    from docker.models.containers import Container as Wrapped  # type: ignore[import-untyped] # it has no stubs
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.network import Network

READY_S: Final = 180.0
"""How long a server may take on a busy machine before the test gives up."""
_ENGINE_S: Final = 120
"""How long the engine may take over one request, seconds."""
_OWNER: Final = "petit.tests"
"""The label that says which process a container belongs to."""
_LOOPBACK: Final = {"driver": "bridge", "options": {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}}
DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks our own ports; a proxy that the environment names would not find them."""
_OK: Final = 200


class NoEngine(AssertionError):
    """There is no Docker engine, or it lacks an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one container is made."""

    image: str
    command: Sequence[str] = ()
    """Empty: the image's own."""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    """Files of ours that it may read, by their place in the container."""
    ports: Mapping[int, int] = field(default_factory=dict)
    """Its ports, and ours on the loopback interface that lead there: fixed, so that they survive a restart."""
    memory: str = "512m"
    tmpfs: Sequence[str] = ("/tmp",)  # noqa: S108 - inside the container
    volumes: Sequence[str] = ()
    """Folders that it may write to; they survive a restart."""
    restarts: bool = False
    """Whether it is started again when it ends by an error, as compose and Kubernetes do."""
    aliases: Sequence[str] = ()
    """Further names on the network: that of the service of which this is a replica."""
    writable: bool = False
    """Whether it may write elsewhere, too."""


class Box:
    """One container, by its name on the network."""

    def __init__(self, net: "Net", name: str, recipe: Recipe) -> None:
        self.name = name
        self.recipe = recipe
        self._net = net
        self._container: DockerContainer | None = None

    @property
    def wrapped(self) -> "Wrapped":
        """The container itself."""
        assert self._container is not None, f"{self.name} was never started"
        return self._container.get_wrapped_container()

    def start(self) -> None:
        """Make and start it, or start it again after it was stopped or killed."""
        if self._container is not None:
            self.wrapped.start()
            return
        self._container = self._net.container(self.name, self.recipe)
        self._container.start()

    def ensure(self) -> None:
        """Start it, unless it runs."""
        if self._container is None or not self.runs():
            self.start()

    def ended(self, *, within_s: float) -> int:
        """Wait for its end, and return its exit code."""
        return int(self.wrapped.wait(timeout=within_s)["StatusCode"])

    def kill(self) -> None:
        """`kill -9`, and wait for its end; a paused one ends as well."""
        with suppress_conflict():
            self.wrapped.kill("SIGKILL")
        self.wrapped.wait(timeout=30)

    def stop(self, *, within_s: int = 20) -> int:
        """Ask it to end in order, and return its exit code; after `within_s` it is killed (137)."""
        self.wrapped.stop(timeout=within_s)
        return int(self.wrapped.wait(timeout=30)["StatusCode"])

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self.wrapped.pause()

    def unpause(self) -> None:
        """Let it go on, where it believes no time has passed."""
        self.wrapped.unpause()

    def cut(self) -> None:
        """Take it off the network; it goes on running."""
        self._net.network.disconnect(self.wrapped)

    def heal(self) -> None:
        """Put it back on the network, under its name."""
        self._net.network.connect(self.wrapped, aliases=[self.name, *self.recipe.aliases])

    @property
    def pid(self) -> int:
        """The process that it is to the operating system; another one after each start, 0 while it does not run."""
        self.wrapped.reload()
        return int(self.wrapped.attrs["State"]["Pid"])

    def runs(self) -> bool:
        """Say whether it runs (a paused one does)."""
        self.wrapped.reload()
        return self.wrapped.status in {"running", "paused"}

    def remade(self, recipe: Recipe) -> None:
        """Replace it by one made in another way; what it held and printed is gone."""
        self.remove()
        self.recipe = recipe
        self.start()

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command inside, and return its exit code and what it printed."""
        answer = self.wrapped.exec_run(list(command))
        return int(answer.exit_code), bytes(answer.output).decode(errors="replace")

    def logged(self) -> str:
        """Return all that it printed, since it was made."""
        if self._container is None:
            return ""
        return bytes(self.wrapped.logs()).decode(errors="replace")

    def remove(self) -> None:
        """Leave nothing of it."""
        if self._container is not None:
            self._container.stop(force=True, delete_volume=True)
            self._container = None


class Net:
    """A network of containers; entered, it exists, and left, everything on it is gone."""

    def __init__(self) -> None:
        self._docker = _docker()
        self._network: Network | None = None
        self.boxes: dict[str, Box] = {}

    def __enter__(self) -> Self:
        from testcontainers.core.network import Network  # noqa: PLC0415 - it reads the environment when imported

        _remove_orphans(self._docker)
        self._network = Network(docker_network_kw=_LOOPBACK | {"labels": {_OWNER: _me()}})
        self._network.create()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        together(box.remove for box in self.boxes.values())
        self.boxes.clear()
        if self._network is not None:
            until(self._is_removed, within_s=_ENGINE_S, what="the engine forgets the containers of the network")
            self._network._docker.client.close()  # noqa: SLF001 - nobody else closes it
        self._docker.close()

    def _is_removed(self) -> bool:
        """Remove the network; False while the engine still counts a container that is gone."""
        from docker.errors import APIError  # type: ignore[import-untyped] # noqa: PLC0415 - see `_docker`

        try:
            if self._network is not None:
                self._network.remove()
        except APIError as error:
            if error.status_code != HTTPStatus.FORBIDDEN:
                raise
            return False
        return True

    @property
    def network(self) -> Any:  # noqa: ANN401 - the engine's client is untyped
        """The network itself."""
        assert self._network is not None, "the network is made when entered"
        return self._network._unwrap_network  # noqa: SLF001 - the only way to disconnect

    def box(self, name: str, recipe: Recipe) -> Box:
        """Plan a container; `start` makes it.

        Raises:
            NoEngine: the engine has no such image.
        """
        require(self._docker, recipe.image)
        self.boxes[name] = Box(self, name, recipe)
        return self.boxes[name]

    def container(self, name: str, recipe: Recipe) -> "DockerContainer":
        """Return a container that is not made yet: locked down as in compose.yaml, data in volumes."""
        from docker.types import Mount  # type: ignore[import-untyped] # noqa: PLC0415 - see `_docker`
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - see `__enter__`

        assert self._network is not None, "the network is made when entered"
        made = DockerContainer(recipe.image).with_envs(**recipe.env)
        made.with_network(self._network).with_network_aliases(name, *recipe.aliases)
        if recipe.command:
            made.with_command(list(recipe.command))
        for inside, file in recipe.files.items():
            made.with_volume_mapping(file, inside, "ro")
        for inside_port, outside_port in recipe.ports.items():
            made.with_bind_ports(inside_port, outside_port)
        for folder in recipe.tmpfs:
            made.with_tmpfs_mount(folder)
        return made.with_kwargs(
            hostname=name,
            read_only=not recipe.writable,
            mounts=[Mount(folder, None, type="volume") for folder in recipe.volumes],
            labels={_OWNER: _me(), "petit.name": name},
            mem_limit=recipe.memory,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            init=False,
            restart_policy={"Name": "on-failure"} if recipe.restarts else None,
        )

    def logs_to(self, folder: Path) -> None:
        """Write what each container printed to a file of its name."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, box in self.boxes.items():
            (folder / f"{name}.log").write_text(box.logged())


# ── the engine ───────────────────────────────────────────────────────────────────────────────────────


def _docker() -> Any:  # noqa: ANN401 - the engine's client is untyped
    """Return a client of the engine, and set testcontainers up for it.

    Raises:
        NoEngine: there is none.
    """
    _find_engine()
    import docker  # type: ignore[import-untyped] # noqa: PLC0415 - it is slow, and most runs need no engine
    from testcontainers.core.config import ConnectionMode, testcontainers_config  # noqa: PLC0415 - the same

    # Its reaper is an image that cannot be had everywhere; `_remove_orphans` is ours.
    testcontainers_config.ryuk_disabled = True
    # In a container it would go by the gateway, where ports published on the loopback interface do not answer.
    testcontainers_config.connection_mode_override = ConnectionMode.docker_host
    testcontainers_config.tc_host_override = "127.0.0.1"
    try:
        client = docker.from_env(timeout=_ENGINE_S)
        client.ping()
    except docker.errors.DockerException as error:
        raise NoEngine(
            f"no Docker engine answers ({error}). Start one, or `eval $(deploy/docker/local/engine start)` as root."
        ) from error
    return client


def require_engine() -> None:
    """Check that an engine answers, and let child processes find it.

    Raises:
        NoEngine: none does.
    """
    _docker().close()


def _find_engine() -> None:
    """Use the engine that `deploy/docker/local/engine` started, unless another one is named."""
    state = Path(os.environ.get("PETIT_DOCKER", "") or Path(tempfile.gettempdir()) / "petit-docker")
    ours = state / "docker.sock"
    if not os.environ.get("DOCKER_HOST") and ours.exists() and not Path("/var/run/docker.sock").exists():
        os.environ["DOCKER_HOST"] = f"unix://{ours}"


def require(docker: Any, image: str) -> None:  # noqa: ANN401 - the engine's client is untyped
    """Check that an image is there: a missing one would be looked for in a registry, for a minute.

    Raises:
        NoEngine: it is not.
    """
    from docker.errors import ImageNotFound  # noqa: PLC0415 - see `_docker`

    try:
        docker.images.get(image)
    except ImageNotFound:
        raise NoEngine(f"the engine has no image {image}: run deploy/docker/local/build") from None


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _remove_orphans(docker: Any) -> None:  # noqa: ANN401 - the engine's client is untyped
    """Remove what a run left behind that was killed on this machine."""
    from docker.errors import APIError  # noqa: PLC0415 - see `_docker`

    def orphaned(thing: Any) -> bool:  # noqa: ANN401 - the engine's client is untyped
        host, _, pid = ((thing.attrs.get("Config") or thing.attrs)["Labels"] or {}).get(_OWNER, ":0").rpartition(":")
        return host == socket.gethostname() and not Path(f"/proc/{pid}").exists()

    filters = {"label": _OWNER}
    with suppress(APIError):  # somebody else is at it
        for container in docker.containers.list(all=True, filters=filters, ignore_removed=True):
            if orphaned(container):
                container.remove(force=True, v=True)
        for network in docker.networks.list(filters=filters):
            if orphaned(network):
                network.remove()


def suppress_conflict() -> suppress:
    """Ignore the engine's refusal to kill what does not run."""
    from docker.errors import APIError  # noqa: PLC0415 - see `_docker`

    return suppress(APIError)


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────


def together(actions: Iterable[Callable[[], object]]) -> None:
    """Do all at the same time.

    Raises:
        ExceptionGroup: some failed; the others were waited for.
    """
    todo = list(actions)
    if not todo:
        return
    with ThreadPoolExecutor(len(todo)) as pool:
        done = [pool.submit(action) for action in todo]
    errors = [error for one in done if (error := one.exception()) is not None]
    if errors:
        raise BaseExceptionGroup(f"{len(errors)} of {len(todo)} failed", errors)


def when_answers(box: Box, url: str, *, within_s: float = READY_S) -> None:
    """Wait until a GET is answered with 200.

    Raises:
        AssertionError: it is not in time, or the container ended.
    """

    def answers() -> bool:
        assert box.runs(), f"{box.name} ended; it printed:\n{box.logged()[-4_000:]}"
        return ok(url)

    try:
        until(answers, within_s=within_s, what=f"{url} answers 200")
    except Late as error:
        error.add_note(box.logged()[-4_000:])
        raise


def when_logged(box: Box, words: str, *, within_s: float = READY_S) -> None:
    """Wait until a container has printed these words.

    Raises:
        AssertionError: it has not in time, or it ended.
    """

    def logged() -> bool:
        assert box.runs(), f"{box.name} ended; it printed:\n{box.logged()[-4_000:]}"
        return words in box.logged()

    until(logged, within_s=within_s, what=f"{box.name} prints {words!r}")


def ok(url: str) -> bool:
    """Say whether a GET is answered with 200."""
    try:
        with DIRECT.open(url, timeout=5) as answer:
            return bool(answer.status == _OK)
    except (urllib.error.URLError, OSError):
        time.sleep(0.1)
        return False


@contextmanager
def untimed() -> Iterator[None]:
    """Stop the clock of the test that happens to be the first to need a server: the start is no part of the test."""
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
