"""Tests of the sandbox: every documented rule, every fault, over a real TCP port."""
