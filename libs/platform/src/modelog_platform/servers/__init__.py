"""The servers that teams run in production, without containers: installed by package clients, started on loopback.

    python -m modelog_platform.servers install [NAME ...]
    python -m modelog_platform.servers run postgres --folder DIR --ports 15432 --password-file FILE

`recipe.Recipe` says what a recipe knows, `catalogue.RECIPES` lists them, `running.RunningServer` is one that runs.
"""
