"""`python -m keyturn` is the command `keyturn`."""

from keyturn.cli import main

main()
