"""Whole experiments: pretrain, measure, evaluate; one page of results."""
