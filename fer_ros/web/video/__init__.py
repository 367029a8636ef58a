"""The tab Video."""
