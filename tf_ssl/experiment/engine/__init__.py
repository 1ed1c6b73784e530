"""Runs the steps of a plan, in parallel, resumable after a kill."""
