"""
Put this package's views in the place of Django's, for tests that others wrote.

Such tests run in a process of their own (`python -I`), whose `tests` is another
package. So the modules here are imported by scripts as top-level modules: a script puts
this folder at the end of sys.path. Each imports nothing but the standard library until
one of its functions is called.
"""
