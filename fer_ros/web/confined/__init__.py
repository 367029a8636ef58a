"""Processes that decode untrusted images: what they may do, and where."""
