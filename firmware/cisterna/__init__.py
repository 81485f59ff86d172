"""Cisterna's portable pump core: integers only, no clock, no input or output of its own.

A research and teaching rig. Not a medical device; never for use on people or animals.
"""
