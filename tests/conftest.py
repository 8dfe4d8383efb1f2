"""What all tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hypothesis
import pytest

sys.path.append(
    str(Path(__file__).parents[1])
)  # for tests.helpers; last, so that an installed prism comes before the tree

from tests.helpers.command import Cli, Outcome
from tests.helpers.golden import Golden

# No deadlines: environments run side by side, and a slow example is no wrong one. CI draws the same examples each time.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("fast", deadline=None, max_examples=20)
# What further Pythons draw: they are there for what differs between them, not to search once more.
hypothesis.settings.register_profile("brief", deadline=None, derandomize=True, database=None, max_examples=20)
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.load_profile("repeatable" if os.environ.get("CI") == "true" else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="Rewrite tests/golden/*.json from what the code answers now, and fail; then read the diff.",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(update=bool(request.config.getoption("--update-golden")))


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command `prism` in this process, in an empty folder."""
    from prism.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        out, err = capsys.readouterr()
        assert isinstance(exit_.value.code, int)
        return Outcome(exit_.value.code, out, err)

    return run
