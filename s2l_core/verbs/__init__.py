"""One file a verb: a function of a job document and a report, see :mod:`s2l_core.jobs`."""
