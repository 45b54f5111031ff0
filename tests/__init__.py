"""Tests of django-async-cbv; the folders mirror those of the package."""
