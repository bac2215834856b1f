"""Other tools' languages: what there is on a machine as a file of ours."""
