"""From a topology to the ordered steps that make it so."""
