"""Explanations of one clip, read from one forward.

Floors, imports only downward (import-linter holds them): primitives (trace, geometry, points, statistics, maps,
optical_flow, class_evidence, features, scores, baselines), `analysis`, `studies`, `render`, `explanation`, and on top
`benchmark`.
"""
