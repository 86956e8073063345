"""What ``speed`` and ``gpu`` are made of: stages of a job, the subject that is timed, and what it is compared with."""
