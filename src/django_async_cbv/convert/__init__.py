"""The codemod: turns the bases of a project's views into those of this package."""
