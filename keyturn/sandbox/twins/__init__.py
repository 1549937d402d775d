"""Twins: stand-ins for Gong and StackOne, as HTTP servers with web pages, for demos and tests.

They are written from the fact sheets alone and share no code with keyturn's clients, so that one misreading
cannot hide on both sides. Where a vendor's behaviour is unknown, a twin has an option for each plausible answer.

```
gong/  stackone/   what each vendor does: pages, API, options, state
store.py           one JSON file per twin, written atomically: a twin can be stopped and resumed
faults.py          refusals, dropped connections and silences on demand
control.py         /_twin/: effects, options, faults, clock, reset
limits.py          calls allowed in a window of time
launch.py          command line      serving.py   uvicorn, loopback only
access.py          log lines without query strings
pages.py           HTML pages from templates/
```
"""
