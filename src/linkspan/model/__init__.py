"""What there should be (`Topology`) and what there is (`LabSnapshot`), as plain values."""
