"""The repository can be pushed to a Space as it is and leads nowhere that does not exist."""

import re
import subprocess
from pathlib import Path

import pytest

from seq2seq.config import Experiment, MeasureConfig, read_json

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    if name and (ROOT / name).is_file()
]
SOURCES = [path for path in FILES if path.suffix == ".py"]


def test_every_file_fits_without_large_file_storage() -> None:
    assert [path.name for path in FILES if path.stat().st_size >= 10_000_000] == []
    checkpoints = [path for path in FILES if "checkpoints" in path.relative_to(ROOT).parts]
    assert checkpoints
    assert sum(path.stat().st_size for path in checkpoints) <= 48 * 1024**2


def test_requirements_are_bounded() -> None:
    for name in ("requirements.txt", "tests/requirements.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").split():
            assert "~=" in line or "<" in line, line


def test_nothing_unpickles() -> None:
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if path.parts[-2] != "unit":
            assert not re.search(r"^\s*(import|from) (pickle|dill|joblib)\b", text, re.M), path.name
        for call in re.findall(r"torch\.load\([^)]*\)", text):
            assert "weights_only=True" in call, path.name


@pytest.mark.parametrize("path", sorted((ROOT / "assets" / "configs").glob("*.json")))
def test_configurations_are_valid(path: Path) -> None:
    assert Experiment.read(path).name == path.stem


def test_the_test_files_that_models_are_measured_on_are_valid() -> None:
    config = MeasureConfig.from_dict(read_json(ROOT / "assets" / "measure.json"))
    assert {file.path for file in config.tests} > set(config.joined)


def test_readme_links_lead_somewhere_and_the_space_settings_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    settings = dict(line.split(": ", 1) for line in front.splitlines() if ": " in line)
    assert settings["sdk"] == "gradio"
    assert (ROOT / settings["app_file"]).is_file()
    assert len(settings["short_description"]) <= 60
    assert settings["python_version"] == '"3.11"'
    for target in re.findall(r"\]\(([^)#]+)\)", body):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
