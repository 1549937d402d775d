"""One verb a file: what keyturn does, in terms of ports."""
