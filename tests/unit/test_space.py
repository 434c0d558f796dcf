"""What Spaces and Docker read fits what is in the repository."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import gradio
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[2]
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
HARDWARE = {"cpu-basic", "cpu-upgrade", "zero-a10g", "t4-small", "t4-medium", "l4x1", "a10g-small"}
KNOWN = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version"),
    *("app_file", "short_description", "suggested_hardware", "fullWidth", "header", "models"),
    *("datasets", "tags", "thumbnail", "pinned", "license", "preload_from_hub"),
    *("startup_duration_timeout", "custom_headers", "disable_embedding", "base_path"),
}


@pytest.fixture(scope="module")
def front() -> dict[str, Any]:
    _, block, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    found = yaml.safe_load(block)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def requirements() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {found.name: found for found in map(Requirement, filter(None, lines))}


def test_front_matter_is_what_spaces_take(front: dict[str, Any]) -> None:
    assert set(front) <= KNOWN
    assert front["sdk"] == "gradio"
    assert (ROOT / front["app_file"]).is_file()
    assert {front["colorFrom"], front["colorTo"]} <= COLOURS
    assert not front["emoji"].isascii()
    assert 0 < len(front["short_description"]) <= 60
    assert front["license"] == "apache-2.0"
    assert front.get("suggested_hardware", "cpu-basic") in HARDWARE
    assert re.fullmatch(r"\d+[mh]", front.get("startup_duration_timeout", "30m"))
    assert all(isinstance(tag, str) for tag in front["tags"])


def test_gradio_is_the_one_that_is_tested(
    front: dict[str, Any], requirements: dict[str, Requirement]
) -> None:
    """A Space installs sdk_version and then the requirements."""
    wanted, installed = Version(front["sdk_version"]), Version(gradio.__version__)
    assert (wanted.major, wanted.minor) == (installed.major, installed.minor)
    assert wanted in requirements["gradio"].specifier


def test_python_is_new_enough(front: dict[str, Any]) -> None:
    assert isinstance(front["python_version"], str)  # 3.10 would be the number 3.1
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = SpecifierSet(re.findall(r'requires-python = "(.+)"', text)[0])
    for version in (front["python_version"], docker("FROM")[0].split(":")[1].split("-")[0]):
        assert Version(version) in needed
        assert Version(version) >= Version("3.11")


def test_a_push_needs_no_large_file_storage() -> None:
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    sizes = {n: (ROOT / n).stat().st_size for n in names if n and (ROOT / n).is_file()}
    assert [name for name, size in sizes.items() if size >= 10_000_000] == []
    assert sum(size for n, size in sizes.items() if n.startswith("checkpoints/")) <= 48 * 2**20


def docker(instruction: str) -> list[str]:
    """Arguments of an instruction, once for each line that it begins."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^{instruction} +(.+)$", text, re.M)


def test_the_image_holds_what_exists() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied = {name for line in docker("COPY") for name in line.split()[:-1]}
    assert copied == kept
    for name in copied:
        assert (ROOT / name).exists()
    dropped = [line for line in ignored if line and line[0] not in "#!" and line != "*"]
    assert not any(fnmatch(name, pattern) for name in copied for pattern in dropped)


def test_the_image_has_the_torch_that_is_tested(requirements: dict[str, Requirement]) -> None:
    (image,) = re.findall(r'"(torch[^"]+)"', "\n".join(docker("RUN")))
    (tested,) = re.findall(r'"(torch[^"]+)"', (ROOT / "tests/setup").read_text(encoding="utf-8"))
    assert image == tested
    (version,) = (Version(s.version) for s in Requirement(image).specifier)
    assert version in requirements["torch"].specifier


def test_the_image_runs_as_nobody_special_and_is_looked_after() -> None:
    assert docker("USER") == ["1000"]
    assert docker("EXPOSE") == ["7860"]
    (check,) = docker("HEALTHCHECK")
    python, option, code = json.loads(check.split("CMD", 1)[1])
    assert (python, option) == ("python", "-c")
    assert "urllib" in code
    compile(code, "HEALTHCHECK", "exec")


def test_loading_a_model_loads_no_compiler() -> None:
    """Torch imports 800 modules for it, which takes longer than all the rest of the loading."""
    code = (
        "import sys, seq2seq.ui\n"
        "from seq2seq.catalogue import embedded_folders\n"
        "from seq2seq import Translator\n"
        "for name in embedded_folders():\n"
        "    translator = Translator.load(name, device='cpu')\n"
        "    source, target = translator.info.directions[0]\n"
        "    translator.translate('Le chat dort.', source=source, target=target)\n"
        "print('torch._dynamo' in sys.modules, 'spaces' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
