"""`python -m linkspan` is the command `linkspan`."""

from linkspan.cli.main import main

main()
