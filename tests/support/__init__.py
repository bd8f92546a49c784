"""Helpers of the tests, under names that say what they are."""
