"""Renderings: an analysis as bytes or plain values, each f(analysis, selection)."""
