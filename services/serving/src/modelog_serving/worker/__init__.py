"""Models that run in processes of their own: what such a process dies of, none but its model is gone."""
