"""The kernel engine: bridges of Linux itself, set up through rtnetlink."""
