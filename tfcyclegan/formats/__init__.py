"""Files of measurements: how each format is read into arrays with their geometry, and written back.

One module a format, named here by the endings that it reads; its library is an extra, imported when
a file of that format is opened. A format is a subclass of `base.Measurement`.
"""
