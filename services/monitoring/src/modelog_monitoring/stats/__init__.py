"""Pure statistics of monitoring: reference profiles, drift between profiles, quality and its comparison."""
