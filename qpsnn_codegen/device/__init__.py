"""Talking to firmware over a serial line, and getting it there (docs/protocol.md)."""
