"""Commands with their errors told in one line, and the bucket as tc reads it."""

from __future__ import annotations

import pytest

from hw.link import tools
from hw.link.bucket import TokenBucket, burst_for
from hw.link.tools import ToolFailed, run_batch, run_tool
from prism.errors import InputError


def test_a_missing_command_is_named_with_its_package() -> None:
    with pytest.raises(InputError, match=r"'nosuchtool' is not installed; .*iproute2"):
        run_tool("nosuchtool")


def test_a_failing_command_is_one_line_with_what_it_said() -> None:
    with pytest.raises(ToolFailed, match=r"^`ls /nosuch` failed: .*No such file[^\n]*$"):
        run_tool("ls", "/nosuch")


def test_a_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "TOOL_TIMEOUT_S", 0.05)
    with pytest.raises(ToolFailed, match="longer than"):
        run_tool("sleep", "5")


@pytest.mark.skipif(tools.find_tool("ip") is None, reason="ip (iproute2) is not installed")
def test_a_failing_batch_names_its_line() -> None:
    with pytest.raises(ToolFailed, match=r"\[link show dev nosuch\]"):
        run_batch("ip", lines=["link show dev lo", "link show dev nosuch"])


def test_the_burst_is_small_where_it_can_be() -> None:
    assert [burst_for(rate) for rate in (20, 400, 640)] == [4000] * 3
    assert burst_for(2000) == 12_500


def test_the_bucket_in_the_words_of_tc() -> None:
    assert TokenBucket(400).tc_words() == "tbf rate 400000000bit burst 4000b limit 4000000b"
    assert TokenBucket(0.5, burst_bytes=65_536, limit_bytes=1).tc_words() == "tbf rate 500000bit burst 65536b limit 1b"
