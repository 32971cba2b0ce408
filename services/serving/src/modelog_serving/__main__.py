"""The serving process."""

from modelog_common.loading import loading

with loading():
    from modelog_common.service import main

    from modelog_serving.app import build

if __name__ == "__main__":
    main("serving", build)
