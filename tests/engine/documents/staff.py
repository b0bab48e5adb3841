"""The second API beside `regions`, with an operation of the same name."""


def get_city(name: int) -> int:
    return name
