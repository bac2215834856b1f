"""Schema and reference are those of the types, and agree with the loader."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.model.plain_values import plain

from linkspan.errors import Mistake
from linkspan.model.load import loads
from linkspan.model.schema import SECTIONS, json_schema, main, reference, schema_text
from linkspan.model.yaml_reader import read

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
MISTAKES = Path(__file__).parent / "mistakes"
VALIDATOR = Draft202012Validator(json_schema())


def test_the_stored_documents_are_those_of_the_types(tmp_path: Path) -> None:
    main(tmp_path)
    for name in ("file.md", "linkspan.schema.json", "options.md"):
        stored = (ROOT / "docs" / name).read_text()
        assert stored == (tmp_path / name).read_text(), (
            f"docs/{name} is old: run python -m linkspan.model.schema docs"
        )
    assert schema_text().endswith("}\n")


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_fits_the_schema(path: Path) -> None:
    VALIDATOR.validate(plain(read(path.read_text(), path.name).root))


@pytest.mark.parametrize(
    "text",
    [
        "bridges: {br0: }",
        "bridges: {br0: {address: 10.0.0.1/24}}\nnodes: {web: {ports: {eth0: br0}}, db: }",
        "bridges: {br0: {mac: , address: , ports: }}\nnodes:",
        "nodes: {web: {ports: }}",
    ],
)
def test_short_and_blank_forms_fit_loader_and_schema(text: str) -> None:
    assert loads(text, "lab.yaml")
    VALIDATOR.validate(plain(read(text, "lab.yaml").root))


@pytest.mark.parametrize(
    "case",
    [
        "address-without-prefix",
        "bridge-missing",
        "engine-unknown",
        "fdb-out-of-range",
        "group-forwarding",
        "interface-name-too-long",
        "key-of-a-later-version",
        "kind-unknown",
        "mtu-out-of-range",
        "name-of-lab",
        "node-name-invalid",
        "not-a-mapping",
        "socket-without-kind",
        "unknown-key",
        "unknown-key-at-top",
        "wrong-type-boolean",
        "wrong-type-list",
        "wrong-type-mapping",
        "wrong-type-number",
    ],
)
def test_an_editor_shows_the_mistake_too(case: str) -> None:
    text = (MISTAKES / case / "file.yaml").read_text()
    with pytest.raises(Mistake):
        loads(text, "file.yaml")
    assert not VALIDATOR.is_valid(plain(read(text, "file.yaml").root))


def test_the_reference_describes_every_key() -> None:
    page = reference()
    for cls, heading, _ in SECTIONS:
        part = page.split(f"## {heading}\n")[1].split("\n## ")[0]
        rows = {line.split("`")[1] for line in part.splitlines() if line.startswith("| `")}
        assert rows == set(cls.__struct_encode_fields__)
