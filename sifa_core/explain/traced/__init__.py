"""A network with all that explanations read from its forward, as one ONNX file; docs/traced.md says what is in it."""
