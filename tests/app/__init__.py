"""A small library of books: the models, forms and pages that views are tested on."""
