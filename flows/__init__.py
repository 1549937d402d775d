"""WHEN: order, pauses, schedules. No I/O of their own."""
