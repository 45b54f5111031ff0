"""Tests of the codemod; `converting` turns text into text."""
