"""The bench's arithmetic and rendering, and one tiny run of the whole harness.

No test here says how fast anything is: that is for the bench itself to find out.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # `bench` is a program of the repository, not an installed one

from bench.contenders import CONTENDERS  # noqa: E402
from bench.contenders.base import Contender  # noqa: E402
from bench.contenders.veth import Veth  # noqa: E402
from bench.crowd import PAIRS_AT_ONCE, measure_crowd  # noqa: E402
from bench.figures import Condensed, Measure, Sample, condense, ratio  # noqa: E402
from bench.harness import QUICK  # noqa: E402
from bench.measure import ping, wait_until_reachable  # noqa: E402
from bench.report import Circumstances, Entrant, Report, markdown_table, render  # noqa: E402
from bench.stage import FOLDER_PREFIX, Stage, build_tools, sweep_stale_folders  # noqa: E402
from bench.targets import Bound, Target, judge  # noqa: E402

from bench import harness  # noqa: E402

POSITIVE = st.floats(min_value=1e-3, max_value=1e6)

needs_root_and_compiler = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("gcc", "ip", "tc"))),
    reason="the harness needs root, gcc and iproute2",
)


def samples(contender: str, measure: Measure, *values: float) -> list[Sample]:
    return [Sample(contender, measure, number, value) for number, value in enumerate(values)]


def test_the_median_of_rounds_ignores_one_wild_round() -> None:
    assert condense([10.0, 11.0, 12.0, 11.0, 90.0]) == Condensed(11.0, 11.0, 12.0, 5)


def test_a_single_round_has_no_spread() -> None:
    found = condense([7.0])
    assert found == Condensed(7.0, 7.0, 7.0, 1)
    assert found.spread == 0.0


def test_the_spread_is_half_of_what_lies_between_the_quartiles() -> None:
    assert Condensed(10.0, 9.0, 12.0, 4).spread == pytest.approx(0.15)


def test_nothing_measured_condenses_to_nothing() -> None:
    assert condense([]) is None


@given(st.lists(POSITIVE, min_size=1))
def test_the_quartiles_enclose_the_median_and_lie_within_the_values(values: list[float]) -> None:
    found = condense(values)
    assert found is not None
    ordered = [min(values), found.lower, found.median, found.upper, max(values)]
    assert ordered == pytest.approx(sorted(ordered))


def test_a_ratio_is_taken_within_each_round() -> None:
    # The second round ran on a machine twice as slow; the ratio does not see it.
    known = samples("ours", Measure.TCP, 10.0, 5.0) + samples("theirs", Measure.TCP, 20.0, 10.0)
    assert ratio(known, Measure.TCP, "ours", "theirs") == Condensed(0.5, 0.5, 0.5, 2)


def test_rounds_that_only_one_side_has_do_not_count() -> None:
    known = samples("ours", Measure.TCP, 10.0, 99.0) + samples("theirs", Measure.TCP, 10.0)
    assert ratio(known, Measure.TCP, "ours", "theirs") == Condensed(1.0, 1.0, 1.0, 1)


def test_there_is_no_ratio_to_what_was_not_measured() -> None:
    known = samples("ours", Measure.TCP, 10.0) + samples("theirs", Measure.UDP, 10.0)
    assert ratio(known, Measure.TCP, "ours", "theirs") is None


@given(st.lists(POSITIVE, min_size=1, max_size=9))
def test_a_ratio_to_oneself_is_one(values: list[float]) -> None:
    found = ratio(samples("ours", Measure.UDP, *values), Measure.UDP, "ours", "ours")
    assert found == Condensed(1.0, 1.0, 1.0, len(values))


@pytest.mark.parametrize(
    ("bound", "ours", "verdict"),
    [
        (Bound.AT_LEAST, 9.5, "met"),
        (Bound.AT_LEAST, 9.4, "missed by 1.1%"),
        (Bound.AT_LEAST, 4.75, "missed by 50.0%"),
        (Bound.AT_MOST, 9.5, "met"),
        (Bound.AT_MOST, 4.75, "met"),
        (Bound.AT_MOST, 19.0, "missed by 100.0%"),
    ],
)
def test_a_target_is_judged_from_its_own_side(bound: Bound, ours: float, verdict: str) -> None:
    known = samples("ours", Measure.UDP, ours) + samples("theirs", Measure.UDP, 10.0)
    judged = judge(Target(Measure.UDP, "ours", bound, 0.95, "theirs"), known)
    assert judged.verdict == verdict
    assert judged.met == (verdict == "met")


@pytest.mark.parametrize(
    ("bound", "ours", "verdict"),
    [
        # The quartiles of these ratios are 0.97 and 1.01, on one side of 1 or around it.
        (Bound.AT_LEAST, (9.6, 9.7, 9.9, 10.1, 10.4), "within noise, 1.0% off"),
        (Bound.AT_MOST, (10.4, 10.3, 10.1, 9.9, 9.6), "within noise, 1.0% off"),
        (Bound.AT_LEAST, (9.6, 9.7, 9.8, 9.9, 10.4), "missed by 2.0%"),
        (Bound.AT_MOST, (10.4, 10.3, 10.2, 10.1, 9.6), "missed by 2.0%"),
        (Bound.AT_LEAST, (9.0, 9.0, 10.0, 10.1, 10.4), "met"),
    ],
)
def test_noise_excuses_only_what_the_rounds_do_not_agree_on(
    bound: Bound, ours: tuple[float, ...], verdict: str
) -> None:
    known = samples("ours", Measure.UDP, *ours) + samples("theirs", Measure.UDP, *[10.0] * 5)
    target = Target(Measure.UDP, "ours", bound, 1.0, "theirs", within_noise=True)
    judged = judge(target, known)
    assert judged.verdict == verdict
    assert judged.met == (verdict == "met")


def test_noise_excuses_nothing_where_it_is_not_asked_for() -> None:
    known = samples("ours", Measure.UDP, 9.0, 9.9, 11.0) + samples(
        "theirs", Measure.UDP, *[10.0] * 3
    )
    judged = judge(Target(Measure.UDP, "ours", Bound.AT_LEAST, 1.0, "theirs"), known)
    assert judged.verdict == "missed by 1.0%"


def test_a_target_without_its_counterpart_is_neither_met_nor_missed() -> None:
    target = Target(Measure.UDP, "ours", Bound.AT_LEAST, 0.95, "theirs")
    judged = judge(target, samples("ours", Measure.UDP, 10.0))
    assert (judged.reached, judged.met, judged.verdict) == (None, False, "not measured")


def test_a_table_lines_up_in_plain_text() -> None:
    rendered = markdown_table(("who", "how much"), [("ours", "1"), ("a", "22")])
    assert rendered == (
        "| who  | how much |\n| ---- | -------: |\n| ours |        1 |\n| a    |       22 |"
    )


def test_the_report_reads_as_its_golden_file() -> None:
    known = (
        *samples("c_loop", Measure.TCP, 12.0, 14.0, 13.0),
        *samples("linkspan_plain", Measure.TCP, 12.6, 13.3, 13.0),
        *samples("c_loop", Measure.ROUND_TRIP, 60.0, 62.0, 64.0),
        *samples("linkspan_plain", Measure.ROUND_TRIP, 90.0, 93.0, 96.0),
        *samples("linkspan_plain", Measure.MEMORY, 24.04),
        *samples("kernel_bridge", Measure.TCP, 10.0, 10.0, 20.0),
    )
    report = Report(
        Circumstances(
            date="2026-01-02 03:04+00:00",
            processor="Some CPU",
            cores=2,
            kernel="6.18",
            python="3.11.7",
            others=0.25,
            rounds=(3, 1),
            seconds=41.6,
            durations="TCP 2 s.",
        ),
        (
            Entrant("c_loop", "C loop", "gcc 12"),
            Entrant("kernel_bridge", "Linux bridge", "Linux 6.18"),
            Entrant("linkspan_plain", "our switch", "linkspan 0.1.0"),
            Entrant("vde_switch", "VDE switch", "", "not installed: package vde-switch"),
        ),
        known,
        notes="- Round trip: Python is slower than C.\n",
    )
    golden = Path(__file__).with_name("report.golden.md")
    assert render(report) == golden.read_text(encoding="utf-8")


def test_only_the_folders_of_runs_that_are_gone_are_swept(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stale = tmp_path / f"{FOLDER_PREFIX}{gone.pid}-x"
    kept = [
        tmp_path / f"{FOLDER_PREFIX}{os.getpid()}-x",
        tmp_path / f"{FOLDER_PREFIX}results",
        tmp_path / f"someone-elses-{gone.pid}",
    ]
    for folder in (stale, *kept):
        folder.mkdir()
    sweep_stale_folders(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_an_unknown_contender_is_refused_with_the_known_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as refusal:
        harness.main(["--only", "veth,swift"])
    assert refusal.value.code == 2
    complaint = capsys.readouterr().err
    assert "unknown contender swift" in complaint
    assert "c_loop" in complaint


def children_of(pid: int) -> set[int]:
    """Every descendant of a process."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text(encoding="utf-8").split()):
            found |= {child} | children_of(child)
    return found


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@needs_root_and_compiler
def test_a_tiny_run_measures_and_writes_its_report(tmp_path: Path) -> None:
    output = tmp_path / "results.md"
    command = [sys.executable, str(REPOSITORY / "bench" / "run.py"), "--quick"]
    done = subprocess.run(
        [*command, "--only", "veth,c_loop", "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    written = output.read_text(encoding="utf-8")
    assert written == done.stdout
    rows = {line.split("|")[1].strip(): line for line in written.splitlines() if "|" in line}
    assert {"veth", "c_loop"} <= rows.keys()
    assert "Linux bridge" not in written
    assert not [line for line in written.splitlines() if "failed" in line]


@needs_root_and_compiler
@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_a_contender_connects_every_pair_it_is_asked_for(
    contender: Contender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why := contender.missing():
        pytest.skip(why)
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}:{REPOSITORY / 'src'}")  # as run.py does
    build_tools(tmp_path)
    with Stage(tmp_path) as stage:
        pairs = contender.wire(stage, 2)
        for pair in pairs:
            wait_until_reachable(stage, pair, core=0)
            assert ping(stage, pair, 0.05, core=0)["count"] > 0
        ends = {end.namespace for pair in pairs for end in (pair.left, pair.right)}
    assert len(pairs) == 2
    assert len(ends) == 4


@needs_root_and_compiler
def test_many_flows_are_sent_and_counted(tmp_path: Path) -> None:
    build_tools(tmp_path)
    with Stage(tmp_path) as stage:
        found = measure_crowd(stage, Veth().wire(stage, 3), QUICK)
    assert found.keys() == {*PAIRS_AT_ONCE, Measure.NEW_FLOWS, Measure.MANY_FLOWS}
    assert all(rate > 0 for rate in found.values())


@needs_root_and_compiler
def test_a_killed_run_leaves_no_process_behind(tmp_path: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "bench" / "run.py"), "--only", "c_loop"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
    ) as run:
        deadline = time.monotonic() + 30
        while len(children := children_of(run.pid)) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        run.send_signal(signal.SIGKILL)
    assert len(children) >= 4
    while any(map(is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in children if is_running(pid)] == []
    sweep_stale_folders(Path("/tmp"))
