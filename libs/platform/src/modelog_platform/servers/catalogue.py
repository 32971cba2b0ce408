"""Every server there is a recipe for, and installing them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from modelog_common.domain.errors import Invalid

from modelog_platform.servers.elasticsearch import ELASTICSEARCH
from modelog_platform.servers.influxdb import INFLUXDB
from modelog_platform.servers.kafka import KAFKA
from modelog_platform.servers.kubernetes import KUBERNETES
from modelog_platform.servers.mariadb import MARIADB
from modelog_platform.servers.minio import MINIO
from modelog_platform.servers.neo4j import NEO4J
from modelog_platform.servers.postgres import POSTGRES
from modelog_platform.servers.rabbitmq import RABBITMQ
from modelog_platform.servers.recipe import Recipe, servers_home
from modelog_platform.servers.redis import REDIS

# The longest builds first.
ALL = (KUBERNETES, INFLUXDB, MINIO, POSTGRES, MARIADB, REDIS, RABBITMQ, KAFKA, NEO4J, ELASTICSEARCH)
RECIPES = {recipe.name: recipe for recipe in ALL}
AT_A_TIME = 3


def recipe_of(name: str) -> Recipe:
    """The recipe of a server; raises Invalid, naming those there are."""
    if name not in RECIPES:
        raise Invalid.field("server", f"there is no recipe for {name}; there is one for {', '.join(sorted(RECIPES))}")
    return RECIPES[name]


def install(names: Sequence[str], say: Callable[[str, str], None]) -> None:
    """Install what is not there yet, several at a time; raises Unavailable when one cannot be, with what is missing."""

    def one(recipe: Recipe) -> None:
        began, steps = time.monotonic(), list[str]()

        def step(text: str) -> None:
            steps.append(text)
            say(recipe.name, text)

        recipe.install(servers_home() / recipe.name, step)
        if steps:
            say(recipe.name, f"installed after {time.monotonic() - began:.0f} s")

    with ThreadPoolExecutor(AT_A_TIME) as several:
        for done in [several.submit(one, recipe_of(name)) for name in names]:
            done.result()
