"""Say which view classes would skip an override, and how to mend each."""
def refuse(cls, initkwargs): pass
def refuse_attributes(cls, names): pass
