"""Studies: what more can be learned from an analysis, each f(analysis) -> result."""
