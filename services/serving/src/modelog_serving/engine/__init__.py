"""The inference engine: model files become loaded models, and rows become outputs, off the event loop."""
