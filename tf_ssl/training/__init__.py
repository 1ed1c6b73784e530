"""A pretraining run: settings, assembly, callbacks, checkpoints."""
