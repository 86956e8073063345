"""The verbs, one file each: functions of a job (:mod:`s2l_core.jobs`) and a report that return a
:mod:`s2l_core.results` object.
"""
