"""The form that the pages take."""

from django import forms

from benchmarks.models import Review


class ReviewForm(forms.ModelForm):
    class Meta:
        model = Review
        fields = ["book", "name", "text"]
