"""Reading what there is on a machine, whoever made it."""
