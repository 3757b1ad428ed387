"""The cache of compiled code: what makes another file, and everything that can go wrong on the way to one."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from recurra.engine.native import build, compiler
from recurra.errors import ConfigError
from recurra.nn import Recurrent

from .conftest import REAL, answer, calls, files, text

MAKES_RUBBISH = 'echo "no library" > "$last"'
"""A compiler that says all is well; the last of its words is the file it should make."""


def made() -> Path:
    """The library, compiled but not loaded: a process does not load the same name twice."""
    file, command, source = build._recipe("some", text(7), "float", False)
    build._compile(command, source, file)
    assert build.sound(file)
    return file


def test_whatever_the_code_depends_on_makes_another_file(fresh: Path, tmp_path: Path, monkeypatch, script) -> None:
    found = [build.target("some", text(1), "float")]
    found.append(build.target("some", text(2), "float"))
    found.append(build.target("some", text(1), "double"))
    found.append(build.target("some", text(1), "float", openmp=True))
    with monkeypatch.context() as patch:
        patch.setattr(build, "FLAGS", (*build.FLAGS, "-ffast-math"))
        found.append(build.target("some", text(1), "float"))
    with monkeypatch.context() as patch:
        sources = tmp_path / "csrc"
        shutil.copytree(build.SOURCES, sources)
        (sources / "vec.h").write_text((sources / "vec.h").read_text() + "\n// another\n")
        patch.setattr(build, "SOURCES", sources)
        found.append(build.target("some", text(1), "float"))
    with monkeypatch.context() as patch:
        patch.setenv("CXX", "g++ -fno-inline")
        compiler.compiler.cache_clear()
        found.append(build.target("some", text(1), "float"))
    script(REAL, version="echo g++ 99; exit")
    found.append(build.target("some", text(1), "float"))
    assert len(set(found)) == len(found)
    assert {file.parent for file in found} == {fresh}
    script(REAL)
    assert build.target("some", text(1), "float") == found[0]


def test_a_file_is_readable_and_no_path(fresh: Path) -> None:
    file = build.target("a cell / of, mine", text(1), "double")
    assert file.parent == fresh
    assert file.name.startswith(f"a-cell-of-mine-double-{build.instructions()}-")


def test_compiled_once_and_said_once(fresh: Path, script, capsys) -> None:
    log = script(REAL)
    assert answer() == answer() == 7
    assert calls(log) == 1
    (name,) = files(fresh)
    assert (fresh / name).stat().st_mode & 0o077 == 0
    assert fresh.stat().st_mode & 0o077 == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"recurra: compiling some for float and {build.instructions()} (once; kept in {fresh})\n"
    assert answer(8) == 8
    assert calls(log) == 2


def test_what_is_said_can_be_replaced(fresh: Path, monkeypatch, capsys) -> None:
    said: list[str] = []
    monkeypatch.setattr(build, "notify", said.append)
    assert answer() == 7
    build.notify_once("once")
    build.notify_once("once")
    assert len(said) == 2 and capsys.readouterr().err == ""


PROCESS = f"""
from recurra.engine.native import build, compiler
print(build.library("some", {text(7)!r}, "float").answer())
"""


def test_two_processes_at_once(fresh: Path, script) -> None:
    log = script(f"sleep 1\n{REAL}")
    command = [sys.executable, "-c", PROCESS]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    found = [process.communicate(timeout=100) for process in pair]
    assert [out for out, _ in found] == ["7\n", "7\n"], found
    assert calls(log) in (1, 2)
    (file,) = fresh.iterdir()
    assert build.sound(file)


def test_a_killed_build_leaves_nothing_that_is_taken_for_a_library(fresh: Path, script) -> None:
    log = script('echo "half" > "$last"\nsleep 5')
    process = subprocess.Popen([sys.executable, "-c", PROCESS], start_new_session=True, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not calls(log) and time.monotonic() < end:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (left,) = files(fresh)
    assert left.startswith("build-")
    log = script(REAL)
    assert answer() == 7 and calls(log) == 2
    assert left in files(fresh)  # it could be another process's that is still at it
    os.utime(fresh / left, (0, 0))
    assert answer(8) == 8
    assert left not in files(fresh)


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: b"",
        lambda c: c[:40],
        lambda c: c[: len(c) // 2],
        lambda c: c[:-1],
        lambda c: c[:999] + b"~" + c[1000:],
    ],
    ids=["empty", "cut in the head", "half", "a byte short", "a byte changed"],
)
def test_a_damaged_library_is_made_again(fresh: Path, script, damage: Callable[[bytes], bytes]) -> None:
    log = script(REAL)
    file = made()
    file.write_bytes(damage(file.read_bytes()))
    assert not build.sound(file)
    assert answer() == 7
    assert build.sound(file) and calls(log) == 2


def test_a_library_that_does_not_load_here_is_made_again(fresh: Path, script) -> None:
    """As one of a newer system, in a home that several share."""
    log = script(REAL)
    foreign, file = b"another system's", build.target("some", text(7), "float")
    file.write_bytes(foreign + hashlib.sha256(foreign).digest())
    assert build.sound(file)
    assert answer() == 7
    assert calls(log) == 1


def test_a_compiler_whose_libraries_do_not_load(fresh: Path, script) -> None:
    log = script(MAKES_RUBBISH)
    for _ in range(3):
        with pytest.raises(build.BuildError, match=r"some-float-.* cannot be made or loaded: .*RECURRA_CACHE"):
            answer()
    assert calls(log) == 1


def test_a_compiler_that_makes_nothing(fresh: Path, script) -> None:
    script("exit 0")
    with pytest.raises(build.BuildError, match=r"could not compile some-float-.*exit code 0"):
        answer()
    assert files(fresh) == []


def test_a_failure_has_the_compilers_words(fresh: Path, capsys) -> None:
    with pytest.raises(build.BuildError, match=r"could not compile wrong-float[^\n]*exit code 1[^\n]*\n.*-O3") as error:
        build.library("wrong", "int answer() { return nothing; }", "float")
    assert "'nothing' was not declared" in str(error.value).replace("‘", "'").replace("’", "'")
    assert files(fresh) == []


@pytest.mark.parametrize("missing", ["nope", "/no/such/g++ -O1"])
def test_without_a_compiler_auto_takes_torch_and_says_so_once(fresh: Path, monkeypatch, capsys, missing: str) -> None:
    monkeypatch.setenv("CXX", missing)
    layer, x = Recurrent("gru", 3, 4), torch.randn(5, 2, 3)
    first, second = layer(x)[0], layer(x)[0]
    said = capsys.readouterr().err
    assert said == (
        f"recurra: there is no C++ compiler (CXX = {missing!r} is no program); "
        "layers run on backend 'torch', which is slower\n"
    )
    layer.backend = "torch"
    assert torch.equal(first, second) and torch.equal(first, layer(x)[0])
    layer.backend = "native"
    with pytest.raises(ConfigError, match=r"backend 'native' cannot run this layer: there is no C\+\+ compiler"):
        layer(x)
    with pytest.raises(build.BuildError, match=r"CXX = .* is no program.*Install one, or use backend='torch'"):
        build.target("kernel", None, "float")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("cached", [False, True])
def test_a_library_that_lacks_what_it_is_for(fresh: Path, script, capsys, cached: bool) -> None:
    log = script(REAL if cached else 'exec g++ -shared -fPIC -x c++ /dev/null -o "$last"')
    if cached:
        build.library("some", text(7), "float")
        build._failed.clear()
    for _ in range(2):
        with pytest.raises(build.BuildError, match=r"some-float-.*\.so holds no question: what made it is no C\+\+"):
            build.library("some", text(7), "float", symbols=["question"])
    assert calls(log) == 1 and files(fresh) == []


def test_a_cell_of_a_compiler_that_makes_empty_libraries(fresh: Path, script, capsys) -> None:
    script('exec g++ -shared -fPIC -x c++ /dev/null -o "$last"')
    layer, x = Recurrent("gru", 3, 4), torch.randn(5, 2, 3)
    found = layer(x)[0]
    assert "holds no recurra_run" in capsys.readouterr().err
    layer.backend = "torch"
    assert torch.equal(layer(x)[0], found)


@pytest.mark.parametrize("what", ["pipe", "link to a device", "link to a pipe", "folder", "too large"])
def test_what_is_no_file_in_a_librarys_place(fresh: Path, what: str) -> None:
    file = build.target("some", text(7), "float")
    if what == "pipe":
        os.mkfifo(file)
    elif what == "link to a device":
        file.symlink_to("/dev/zero")
    elif what == "link to a pipe":
        os.mkfifo(fresh / "pipe")
        file.symlink_to(fresh / "pipe")
    elif what == "too large":
        with file.open("wb") as sparse:
            sparse.truncate(build.LARGEST_LIBRARY + 1)
    else:
        file.mkdir()
        with pytest.raises(build.BuildError, match="cannot be made or loaded"):
            answer()
        return
    assert not build.sound(file)
    assert answer() == 7 and file.is_file() and not file.is_symlink()


def test_a_source_that_is_a_pipe(fresh: Path, tmp_path: Path, monkeypatch) -> None:
    sources = tmp_path / "csrc"
    shutil.copytree(build.SOURCES, sources)
    os.mkfifo(sources / "more.h")
    monkeypatch.setattr(build, "SOURCES", sources)
    with pytest.raises(build.BuildError, match=r"more\.h is no file, expected a source of recurra's"):
        answer()


def test_where_the_compiler_fails_auto_takes_torch_and_says_so_once(fresh: Path, script, capsys) -> None:
    log = script('echo "out of registers" >&2\nexit 4')
    layer, x = Recurrent("gru", 3, 4), torch.randn(5, 2, 3)
    found = [layer(x)[0] for _ in range(3)]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and said[0].startswith("recurra: compiling kernel")
    assert "could not compile kernel-float" in said[1] and "backend 'torch', which is slower" in said[1]
    assert calls(log) == 1
    layer.backend = "torch"
    assert all(torch.equal(y, layer(x)[0]) for y in found)
    layer.backend = "native"
    with pytest.raises(build.BuildError, match="out of registers"):
        layer(x)


def test_a_folder_of_ones_own(fresh: Path, tmp_path: Path, monkeypatch) -> None:
    home, shared = tmp_path / "home", tmp_path / "shared"
    monkeypatch.setenv("HOME", str(home))
    assert build.cache_folder() == fresh
    expected = {
        ("", str(shared)): shared / "recurra",
        ("", ""): home / ".cache" / "recurra",
        ("", "relative"): home / ".cache" / "recurra",  # as the XDG specification has it
        ("~/mine", str(shared)): home / "mine",
    }
    for (ours, xdg), folder in expected.items():
        monkeypatch.setenv("RECURRA_CACHE", ours)
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
        build.cache_folder.cache_clear()
        assert build.cache_folder() == folder
        assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECURRA_CACHE", "here")
    build.cache_folder.cache_clear()
    assert build.cache_folder() == tmp_path / "here"


def check_own(capsys: pytest.CaptureFixture[str], why: str) -> None:
    """A folder for this process alone, said in one line, once; what is compiled goes there."""
    folder = build.cache_folder()
    assert build.cache_folder() == folder
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("recurra: compiled code cannot be kept (") and why in said
    assert said.endswith(f"; it goes to {folder} for this process")
    assert folder.stat().st_mode & 0o077 == 0
    assert answer() == 7
    assert len(files(folder)) == 1
    shutil.rmtree(folder)


def test_a_home_that_cannot_be_written_to(fresh: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.delenv("RECURRA_CACHE")
    home = tmp_path / "home"
    home.write_text("a file, in which even root makes no folder")
    monkeypatch.setenv("HOME", str(home))
    check_own(capsys, str(home))


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write everywhere")
def test_a_home_that_is_read_only(fresh: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.delenv("RECURRA_CACHE")
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    monkeypatch.setenv("HOME", str(home))
    check_own(capsys, "Permission denied")


def test_no_home_at_all(fresh: Path, monkeypatch, capsys) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("RECURRA_CACHE")
    monkeypatch.setattr(Path, "home", none)
    check_own(capsys, "Could not determine home directory.")


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_folder_that_others_can_write_to_is_not_trusted(fresh: Path, capsys, mode: int) -> None:
    fresh.mkdir()
    fresh.chmod(mode)
    check_own(capsys, f"others can write to {fresh}")
    assert files(fresh) == []


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away")
def test_a_folder_of_somebody_else_is_not_trusted(fresh: Path, capsys) -> None:
    fresh.mkdir(mode=0o700)
    os.chown(fresh, 12345, -1)
    check_own(capsys, f"others can write to {fresh}")


OWN = """
import os, sys
from recurra.engine.native import build, compiler
folder = build.cache_folder()
if not (child := os.fork()):
    sys.exit(0)
os.waitpid(child, 0)
assert folder.is_dir()
print(folder)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_processs_own_folder_goes_with_it(fresh: Path, tmp_path: Path, python) -> None:
    fresh.write_text("no folder")
    done = python(OWN, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == tmp_path
    assert not list(tmp_path.glob("recurra-*"))


def test_instructions_by_name(fresh: Path, monkeypatch) -> None:
    monkeypatch.setenv("RECURRA_INSTRUCTIONS", "portable")
    assert build.instructions() == "portable"
    build.instructions.cache_clear()
    monkeypatch.setenv("RECURRA_INSTRUCTIONS", "avx-512")
    with pytest.raises(ConfigError) as error:
        build.instructions()
    assert str(error.value) == (
        "RECURRA_INSTRUCTIONS = 'avx-512' is unknown: did you mean 'avx512' or 'avx2' or 'avx512-bf16'? "
        "Known: avx512-bf16, avx512, avx2, portable."
    )
    with pytest.raises(ConfigError, match="RECURRA_INSTRUCTIONS"):  # a slip of the caller's: auto does not hide it
        Recurrent("gru", 3, 4)(torch.randn(5, 2, 3))


def test_instructions_that_the_processor_lacks(fresh: Path, monkeypatch) -> None:
    """Refused in words; running them would end the process."""
    monkeypatch.setattr(build, "processor", lambda: frozenset({"avx2", "fma", "sse2"}))
    assert build.instructions() == "avx2"
    build.instructions.cache_clear()
    monkeypatch.setenv("RECURRA_INSTRUCTIONS", "avx512")
    with pytest.raises(ConfigError) as error:
        build.target("some", text(1), "float")
    assert str(error.value) == (
        "RECURRA_INSTRUCTIONS = 'avx512', but this processor lacks avx512bw, avx512dq, avx512f, avx512vl. "
        "It has: avx2, portable."
    )


def test_a_home_shared_by_processors(fresh: Path, monkeypatch) -> None:
    """The instruction set stands in the file's name, so that each takes its own."""
    found = []
    for _, needs in reversed(build.INSTRUCTIONS.values()):
        monkeypatch.setattr(build, "processor", lambda has=frozenset(needs): has)
        build.instructions.cache_clear()
        file = build.target("some", text(1), "float")
        assert f"-{build.instructions()}-" in file.name
        found.append(build.instructions())
        assert isinstance(build.library("some", text(1), "float"), ctypes.CDLL)  # compiled, not run
    assert found == ["portable", "avx2", "avx512", "avx512-bf16"]
    assert len(files(fresh)) == 4


def test_an_unknown_processor_takes_what_runs_everywhere(fresh: Path, monkeypatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    assert build.processor() == frozenset()
    assert build.instructions() == "portable"
