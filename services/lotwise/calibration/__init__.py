"""A laboratory's own labelled tiles -> a calibration and a policy for the committee it serves."""
