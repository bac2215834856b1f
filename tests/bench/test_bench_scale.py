"""The report on large labs: ratios within a round, and what was not measured."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.scale.report import Found, Target, render
from bench.scale.ways import address, lab_file

from linkspan.model.load import load
from linkspan.model.topology import MOST_PORTS

OURS, SCRIPT = "linkspan, kernel engine", "script"
FOUND = Found(
    containers=500,
    rounds=3,
    samples={
        OURS: [{"up": 1.0}, {"up": 3.0}, {"up": 2.0}],
        SCRIPT: [{"up": 4.0}, {"up": 6.0}, {"up": 1.0}],
        "Mininet, 100": [{"up": 2.0}],
    },
    no_mininet="",
    others=[0.5],
    seconds=10.0,
    refusal="too many ports",
)


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    reached = Target(OURS, "up", 0.5, SCRIPT).reached(FOUND)
    assert reached is not None
    assert (reached.median, reached.rounds) == (0.5, 3)


def test_a_target_for_each_container_counts_the_containers_of_both_sides() -> None:
    reached = Target(OURS, "up", 0.1, "Mininet, 100", 100 / 500).reached(FOUND)
    assert reached is not None
    assert reached.median == 0.1


def test_what_was_not_measured_is_said_and_notes_stand_below_the_targets() -> None:
    page = render(FOUND, "## Notes\n\nwhy")
    assert "| not measured |" in page
    assert page.index("## Targets") < page.index("## Notes") < page.index("## Values")
    assert "too many ports" in page


def test_the_labs_are_such_as_the_file_may_declare(tmp_path: Path) -> None:
    topology = load(lab_file(tmp_path, "user", MOST_PORTS))
    assert len(topology.nodes) == MOST_PORTS
    assert address(MOST_PORTS - 1) == "10.99.4.0"
