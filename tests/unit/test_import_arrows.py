"""Imports run one way, and heavy libraries stay where they belong."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support import make_checkpoint

from seq2seq import kernels

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "seq2seq"
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Dotted names of every import in a file, lazy ones included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def touches(path: Path, *prefixes: str) -> set[str]:
    return {n for n in imports(path) if any(n == p or n.startswith(p + ".") for p in prefixes)}


FORBIDDEN = {
    "seq2seq.text": ("torch", "seq2seq.nn", "seq2seq.decoding", "seq2seq.checkpoint"),
    "seq2seq.kernels": (
        "torch", "seq2seq.config", "seq2seq.text", "seq2seq.nn", "seq2seq.decoding",
        "seq2seq.inference", "seq2seq.checkpoint", "seq2seq.translator",
    ),
    "seq2seq.parameters": ("torch", "seq2seq.nn", "seq2seq.decoding", "seq2seq.inference"),
    "seq2seq.inference": (
        "seq2seq.text", "seq2seq.checkpoint", "seq2seq.stored", "seq2seq.weights",
        "seq2seq.runner", "seq2seq.translator", "seq2seq.training",
    ),
    "seq2seq.nn": (
        "seq2seq.inference", "seq2seq.text", "seq2seq.decoding", "seq2seq.checkpoint",
        "seq2seq.training",
    ),
    "seq2seq.decoding": (
        "torch", "seq2seq.text", "seq2seq.nn", "seq2seq.inference", "seq2seq.checkpoint",
        "seq2seq.translation", "seq2seq.training",
    ),
    "seq2seq.hub": (
        "torch", "seq2seq.nn", "seq2seq.decoding", "seq2seq.checkpoint", "seq2seq.translator",
        "seq2seq.ui", "seq2seq.training", "seq2seq.commands",
    ),
    "seq2seq.translation": ("torch", "seq2seq.nn", "seq2seq.checkpoint", "seq2seq.translator"),
    "seq2seq.stored": ("torch", "seq2seq.nn", "seq2seq.text", "seq2seq.inference"),
    "seq2seq.checkpoint": ("seq2seq.translator", "seq2seq.decoding", "seq2seq.translation"),
    "seq2seq.ui": ("torch", "seq2seq.nn", "seq2seq.training"),
    "seq2seq.ui.figures": ("gradio", "seq2seq.translator", "seq2seq.checkpoint", "seq2seq.pool"),
    "seq2seq.evaluation": ("seq2seq.translator", "seq2seq.nn", "seq2seq.training"),
    "seq2seq.training": ("seq2seq.translator", "seq2seq.ui", "sacremoses", "gradio", "plotly"),
}  # fmt: skip


@pytest.mark.parametrize("part", FORBIDDEN)
def test_part_imports_nothing_from_above(part: str) -> None:
    members = [p for p in MODULES if f"{name_of(p)}.".startswith(f"{part}.")]
    assert members
    for path in members:
        assert not touches(path, *FORBIDDEN[part]), name_of(path)


def test_gradio_and_plotly_stay_in_the_interface() -> None:
    for path in MODULES:
        if "ui" not in path.relative_to(PACKAGE).parts:
            assert not touches(path, "gradio", "plotly"), name_of(path)


def test_training_and_evaluation_are_used_by_the_command_line_alone() -> None:
    """But for the scores of a batch with references on the page."""
    for path in MODULES:
        inside = path.relative_to(PACKAGE).parts[0]
        if name_of(path) == "seq2seq.ui.batch":
            assert touches(path, "seq2seq.evaluation") <= {
                "seq2seq.evaluation.metrics", "seq2seq.evaluation.metrics.score",
            }  # fmt: skip
        elif inside not in ("training", "evaluation", "commands"):
            assert not touches(path, "seq2seq.training", "seq2seq.evaluation"), name_of(path)


def test_search_never_asks_which_model_it_holds() -> None:
    for path in (PACKAGE / "decoding").glob("*.py"):
        assert "isinstance(model" not in path.read_text(encoding="utf-8"), name_of(path)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import seq2seq.hub, sys; print(*sorted({'torch', 'gradio', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


@pytest.mark.skipif(not kernels.loaded(), reason="no operators on this machine")
def test_translating_on_a_cpu_needs_no_pytorch(tmp_path: Path) -> None:
    """It takes longer to load than the model, and more memory."""
    for architecture in ("transformer", "gru-additive"):
        make_checkpoint(tmp_path / architecture, architecture=architecture, storage="int8")
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"  # an import of it fails
        "from seq2seq import Translator\n"
        "from seq2seq.config import SamplingConfig\n"
        "for name in sys.argv[1:]:\n"
        "    one = Translator.load(name)\n"
        "    made = one.translate('Le chien aime un oiseau.', trace=True, prefix='A dog')\n"
        "    made.trace.steps, one.occlusion(made), one.translate(['Le chien.'] * 3)\n"
        "    one.translate('Le chien.', sample=SamplingConfig(top_p=0.9))\n"
        "    print(one.card.precision)\n"
    )
    folders = [str(folder) for folder in tmp_path.iterdir()]
    done = subprocess.run(
        [sys.executable, "-c", code, *folders], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["int8", "int8"]


def test_a_device_that_somebody_names_is_asked_of_pytorch() -> None:
    """Not every machine shows its GPU before it is used."""
    code = (
        "import sys\n"
        "from seq2seq.device import DeviceError, choose_device\n"
        "choose_device('cpu'), choose_device()\n"
        "print('torch' in sys.modules)\n"
        "try:\n"
        "    choose_device('cuda')\n"
        "except DeviceError:\n"
        "    pass\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    before, after = done.stdout.split()
    assert after == "True"
    if not (Path("/dev/nvidiactl").exists() or not sys.platform.startswith("linux")):
        assert before == "False"


def test_training_needs_no_text_library_and_no_charts() -> None:
    blocked = ("sacremoses", "tokenizers", "py3langid", "regex", "gradio", "plotly")
    code = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({blocked!r}))\n"  # an import of them fails
        "importlib.import_module('seq2seq.commands.training')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
